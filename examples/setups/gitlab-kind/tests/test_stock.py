from stock import answer


def test_health():
    assert answer("/healthz") == (200, "ok\n")


def test_known_and_unknown():
    assert answer("/stock/tea") == (200, "12\n")
    assert answer("/stock/gold")[0] == 404
