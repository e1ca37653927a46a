FROM scratch
ARG TARGETARCH
COPY pause-${TARGETARCH} /pause
ENTRYPOINT ["/pause"]
