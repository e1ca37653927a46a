FROM localhost:5000/base/debian:12
RUN apt-get update -q \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends runc socat \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/debconf/*-old /var/lib/dpkg/*-old /var/log/*.log /var/log/apt
COPY --chmod=755 buildkitd buildctl buildkit-entrypoint.sh /usr/local/bin/
VOLUME /var/lib/buildkit
ENTRYPOINT ["buildkit-entrypoint.sh"]
