# The daemon, the CLI and the load generator in one image, for amd64 and arm64:
#   docker buildx build --platform linux/amd64,linux/arm64 --build-arg REVISION=$(git rev-parse HEAD) -t rollout .
# A release gives BASE by digest. Every package comes from the lock with its hash, as a wheel: nothing is compiled.
ARG BASE=python:3.13-slim-trixie

FROM ${BASE} AS build
WORKDIR /src
COPY requirements/build.txt requirements/run.txt requirements/
RUN python -m venv --without-pip /opt/rollout \
 && python -m pip --python /opt/rollout/bin/python install --no-cache-dir --require-hashes --only-binary=:all: \
    --requirement requirements/run.txt \
 && python -m venv /tmp/build \
 && /tmp/build/bin/pip install --no-cache-dir --require-hashes --only-binary=:all: --requirement requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY rollout rollout
COPY loadgen loadgen
RUN /tmp/build/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /tmp/wheel . \
 && python -m pip --python /opt/rollout/bin/python install --no-cache-dir --no-deps --no-index /tmp/wheel/*.whl
COPY deploy/image/sbom.py deploy/image/sbom.py
RUN /opt/rollout/bin/python deploy/image/sbom.py requirements/run.txt > /opt/rollout/sbom.cdx.json

FROM ${BASE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="rollout" \
      org.opencontainers.image.description="Progressive delivery that proves each decision" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/rollout-dev/rollout" \
      org.opencontainers.image.documentation="https://github.com/rollout-dev/rollout/tree/main/docs" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/rollout /opt/rollout
# Nothing is written but the journal and /tmp: the root file system may be read-only.
ENV PATH=/opt/rollout/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
ENV ROLLOUT_STATE=/var/lib/rollout/rollout.sqlite
RUN install -d -o 65532 -g 65532 /var/lib/rollout
VOLUME /var/lib/rollout
USER 65532:65532
WORKDIR /var/lib/rollout
EXPOSE 8383
STOPSIGNAL SIGTERM
ENTRYPOINT ["rollout"]
CMD ["serve"]
