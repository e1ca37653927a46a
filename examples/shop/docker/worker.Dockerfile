ARG BASE=localhost:5000/base/django:3.2
FROM ${BASE}
WORKDIR /app
COPY manage.py ./
COPY shop ./shop
COPY orders ./orders
USER 10001
HEALTHCHECK --interval=5s --timeout=2s CMD ["python3", "-c", "import os, time; assert time.time() - os.path.getmtime('/tmp/worker.alive') < 15"]
CMD ["python3", "manage.py", "worker"]
