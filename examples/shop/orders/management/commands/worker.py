import logging
import signal
import time
from pathlib import Path

import redis
from django.core.management.base import BaseCommand
from django.db import close_old_connections

from orders.queue import connect, take
from orders.work import process

log = logging.getLogger("worker")


class Command(BaseCommand):
    help = "Takes orders from the queue until it is told to stop; the order in hand is finished first."

    def add_arguments(self, parser):
        parser.add_argument("--heartbeat", default="/tmp/worker.alive", help="file touched while the worker is well")

    def handle(self, *args, **options):
        self.stopping = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.stop)
        heartbeat = Path(options["heartbeat"])
        client = connect()
        log.info("worker started")
        while not self.stopping:
            try:
                order_id = take(client)
                heartbeat.touch()
                if order_id is not None:
                    close_old_connections()
                    process(order_id)
            except redis.RedisError as error:
                log.warning("queue: %s", error)
                time.sleep(0.5)
        log.info("worker stopped")

    def stop(self, *_args):
        self.stopping = True
