# The service as an image: `docker build --tag sojourn .`.
# Two stages, so that pip, its caches, the sources, and what libraries test themselves with stay behind.

FROM python:3.13-slim AS build
WORKDIR /src
COPY requirements/run.txt requirements/run.txt
# pinned and checked by hash, as `make run` installs them; this layer stays until the pins change
RUN python -m venv /opt/sojourn \
    && /opt/sojourn/bin/pip install --no-cache-dir --require-hashes --requirement requirements/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN /opt/sojourn/bin/pip install --no-cache-dir --no-deps --no-build-isolation . \
    && /opt/sojourn/bin/pip uninstall --yes pip setuptools \
    && find /opt/sojourn -type d -name tests -prune -exec rm -r {} +

FROM python:3.13-slim
RUN useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin sojourn \
    && install --directory --owner sojourn --group sojourn --mode 0750 /data
COPY --from=build /opt/sojourn /opt/sojourn
ENV PATH=/opt/sojourn/bin:$PATH PYTHONUNBUFFERED=1 SOJOURN_HOME=/data SOJOURN_HOST=0.0.0.0 SOJOURN_PORT=8000
# by number: only then can Kubernetes see that it is not root
USER 10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
# the server drains what is on its way when it is told to end; SIGTERM is what `docker stop` sends
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ['SOJOURN_PORT']}/health/ready\", timeout=4)"]
ENTRYPOINT ["sojourn"]
CMD ["serve"]
