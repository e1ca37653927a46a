import json

from django.conf import settings
from django.db import connection
from django.http import HttpResponse, JsonResponse

from orders.models import Order
from orders.queue import enqueue, ping

LARGEST = 100_000


def healthz(_request):
    """Alive: says nothing about what the app depends on, or a broken database would restart every pod."""
    return HttpResponse("ok\n", content_type="text/plain")


def ready(_request):
    problems = {}
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Exception as error:  # any driver error means the same here
        problems["database"] = str(error).strip().splitlines()[0]
    if settings.REDIS_HOST:
        try:
            ping()
        except Exception as error:
            problems["redis"] = str(error)
    return JsonResponse({"ready": not problems, "problems": problems}, status=503 if problems else 200)


def version(_request):
    return JsonResponse({"version": settings.VERSION})


def prime(request):
    text = request.GET.get("n", "")
    if not text.isdigit() or int(text) > LARGEST:
        return JsonResponse({"error": f"n must be a whole number from 0 to {LARGEST}"}, status=400)
    primes = primes_up_to(int(text))
    return JsonResponse({"n": int(text), "count": len(primes), "largest": primes[-1] if primes else None})


def primes_up_to(n):
    sieve = bytearray([1]) * (n + 1)
    sieve[0:2] = b"\0\0"[: n + 1]
    for number in range(2, int(n**0.5) + 1):
        if sieve[number]:
            sieve[number * number :: number] = bytes(len(range(number * number, n + 1, number)))
    return [number for number in range(n + 1) if sieve[number]]


def orders(request):
    if request.method == "GET":
        newest = Order.objects.order_by("-id")[:50]
        return JsonResponse({"orders": [order.as_dict() for order in newest]})
    if request.method != "POST":
        return JsonResponse({"error": "use GET or POST"}, status=405)
    try:
        body = json.loads(request.body or b"null")
        item, quantity = body["item"], body.get("quantity", 1)
        if not isinstance(item, str) or not item or not isinstance(quantity, int) or quantity < 1:
            raise ValueError
    except (ValueError, TypeError, KeyError, AttributeError):
        return JsonResponse({"error": 'send {"item": "tea", "quantity": 2}'}, status=400)
    order = Order.objects.create(item=item, quantity=quantity)
    enqueue(order.id)
    return JsonResponse(order.as_dict(), status=201)
