ARG BASE=localhost:5000/base/django:3.2
FROM ${BASE}
WORKDIR /app
COPY manage.py ./
COPY shop ./shop
COPY orders ./orders
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=5s --timeout=2s CMD ["python3", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
CMD ["gunicorn", "--bind=0.0.0.0:8000", "--workers=1", "--threads=8", "--worker-tmp-dir=/dev/shm", "--graceful-timeout=4", "--access-logfile=-", "shop.wsgi"]
