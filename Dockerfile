# syntax=docker/dockerfile:1
# One image for every role. Two stages: what builds does not ship. Everything that is installed stands in requirements.lock
# with its hash. A list of the parts (SBOM) is attached by: docker buildx build --sbom=true --provenance=true .
FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /source
RUN python -m venv /opt/flow
# The lock first: as long as it is the same, this layer is taken from the cache.
COPY requirements.lock ./
RUN /opt/flow/bin/pip install --no-deps --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY core core
COPY driver_adapters driver_adapters
COPY driven_adapters driven_adapters
COPY module module
COPY pkg pkg
COPY schema schema
# Compiled here: the file system is read-only where it runs.
RUN /opt/flow/bin/pip install --no-deps --no-build-isolation . \
    && /opt/flow/bin/pip check \
    && /opt/flow/bin/python -m compileall -q /opt/flow/lib

FROM python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="Flow Automation" \
      org.opencontainers.image.description="A durable workflow engine that you host yourself" \
      org.opencontainers.image.licenses="Apache-2.0"
# A number, so that a cluster can see that it is not root without looking into the image.
RUN groupadd --gid 10001 flow \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin flow \
    && install -d -o 10001 -g 10001 -m 0700 /data
COPY --from=build /opt/flow /opt/flow
ENV PATH=/opt/flow/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    FLOW_ENV=production \
    FLOW_BIND_HOST=0.0.0.0 \
    FLOW_DATA_DIR=/data
USER 10001:10001
WORKDIR /data
VOLUME /data
# The public API; health and metrics, which stay inside.
EXPOSE 8082 8083
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8083/health/ready', timeout=2)"]
ENTRYPOINT ["flow"]
CMD ["serve"]
