import redis
from django.conf import settings

QUEUE = "orders"


def connect():
    return redis.Redis(host=settings.REDIS_HOST, port=settings.REDIS_PORT, socket_timeout=5, socket_connect_timeout=2)


def ping():
    connect().ping()


def enqueue(order_id):
    """Without a queue (tests on SQLite, local work) orders stay new."""
    if settings.REDIS_HOST:
        connect().rpush(QUEUE, order_id)


def take(client, seconds=1):
    """The next order id, or None when there was none for so long."""
    found = client.blpop(QUEUE, timeout=seconds)
    return None if found is None else int(found[1])
