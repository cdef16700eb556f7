# syntax=docker/dockerfile:1
# Four stages: the pages, the native media plane, the Python environment, and a runtime with neither Node nor compilers.

FROM node:20-bookworm-slim AS web
WORKDIR /build/web
COPY web/package.json web/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY web/ ./
RUN npm run build

FROM rust:1-slim-bookworm AS native
WORKDIR /build
COPY sfu/plane/native/ ./
RUN PYO3_NO_PYTHON=1 cargo build --locked --release

FROM python:3.11-slim-bookworm AS python
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/consilium
WORKDIR /build
COPY requirements.lock ./
RUN /opt/consilium/bin/pip install --require-hashes --no-deps --only-binary=:all: -r requirements.lock
COPY pyproject.toml README.md LICENSE hatch_build.py ./
COPY sfu/ sfu/
COPY --from=native /build/target/release/lib_native.so sfu/plane/_native.abi3.so
COPY signaling/ signaling/
COPY captioning/ captioning/
COPY recorder/ recorder/
COPY community/ community/
COPY benchmarks/ benchmarks/
COPY web/__init__.py web/py.typed web/
COPY --from=web /build/web/static/ web/static/
RUN CONSILIUM_NATIVE=require /opt/consilium/bin/pip install --no-deps --no-build-isolation .

FROM python:3.11-slim-bookworm
RUN useradd --uid 10001 --no-log-init --create-home --home-dir /home/consilium consilium \
    && install --directory --owner=consilium --group=consilium /data
COPY --from=python /opt/consilium /opt/consilium
ENV PATH=/opt/consilium/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    CONSILIUM_HOST=0.0.0.0 \
    CONSILIUM_PORT=8080 \
    CONSILIUM_DATA_DIR=/data \
    CONSILIUM_MODELS=/data/models
USER consilium
WORKDIR /data
VOLUME /data
EXPOSE 8080/tcp 8081/tcp 8081/udp
STOPSIGNAL SIGTERM
# Over TLS where the server has it; the certificate need not name 127.0.0.1.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 CMD ["python", "-c", "\
import os, ssl, urllib.request as r\n\
tls = os.environ.get('CONSILIUM_TLS_MODE', 'off') != 'off'\n\
url = f\"http{'s' * tls}://127.0.0.1:{os.environ['CONSILIUM_PORT']}/healthz\"\n\
r.urlopen(url, timeout=4, context=ssl._create_unverified_context() if tls else None)"]
CMD ["consilium", "serve"]
