"""How much of what is in the warehouse."""

STOCK = {"tea": 12, "coffee": 3}


def answer(path):
    """Status and body for a path."""
    if path == "/healthz":
        return 200, "ok\n"
    item = path.removeprefix("/stock/")
    if item in STOCK:
        return 200, f"{STOCK[item]}\n"
    return 404, "unknown\n"
