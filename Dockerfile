# The daemon, the CLI and the load generator in one image. Kubernetes manifests come with the issue on the cluster.
FROM python:3.12-slim AS build
WORKDIR /src
COPY requirements/run.txt requirements/run.txt
RUN python -m venv /opt/rollout \
 && /opt/rollout/bin/pip install --no-cache-dir --require-hashes --requirement requirements/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY rollout rollout
COPY loadgen loadgen
RUN pip install --no-cache-dir hatchling==1.33.0 \
 && pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /tmp/wheel . \
 && /opt/rollout/bin/pip install --no-cache-dir --no-deps /tmp/wheel/*.whl

FROM python:3.12-slim
LABEL org.opencontainers.image.title="rollout" \
      org.opencontainers.image.description="Progressive delivery that proves each decision" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/rollout /opt/rollout
ENV PATH=/opt/rollout/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# The journal is the only thing that is written; everything else may be read-only.
ENV ROLLOUT_STATE=/var/lib/rollout/rollout.sqlite
RUN install -d -o 65532 -g 65532 /var/lib/rollout
VOLUME /var/lib/rollout
USER 65532:65532
EXPOSE 8383
STOPSIGNAL SIGTERM
ENTRYPOINT ["rollout"]
CMD ["serve"]
