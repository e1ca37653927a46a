FROM scratch
ARG TARGETARCH
ADD debian-${TARGETARCH}.tar /
CMD ["bash"]
