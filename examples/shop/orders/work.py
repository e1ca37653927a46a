import logging

from orders.models import Order

log = logging.getLogger("worker")


def process(order_id):
    """Marks an order as packed. True when it did; an order that has gone is not an error."""
    changed = Order.objects.filter(id=order_id, state="new").update(state="packed")
    log.info("order %s %s", order_id, "packed" if changed else "was not new")
    return bool(changed)
