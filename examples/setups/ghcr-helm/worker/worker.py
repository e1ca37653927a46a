"""Asks the API for parcels and delivers them."""
import json
import os
import pathlib
import time
import urllib.request

API = os.environ.get("API", "http://parcel-api")

while True:
    try:
        with urllib.request.urlopen(f"{API}/parcels/next", timeout=2) as answer:
            parcel = json.load(answer)["parcel"]
        pathlib.Path("/tmp/alive").touch()
        if parcel:
            print(f"delivered {parcel}", flush=True)
            continue
    except OSError as error:
        print(f"no answer: {error}", flush=True)
    time.sleep(1)
