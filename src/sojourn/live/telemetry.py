"""What the live side counts, for Prometheus: once per commit or refusal, never per message."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class Telemetry:
    """Counters of one service. All begin with `sojourn_`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        of = self.registry
        self.events = Counter("sojourn_events", "Events that became durable", registry=of)
        self.messages = Counter("sojourn_messages", "Messages that became durable", registry=of)
        self.acks = Counter("sojourn_acks", "Acknowledgements after a commit", registry=of)
        self.refused = Counter("sojourn_refused", "Messages refused, by code", ["code"], registry=of)
        self.failed = Counter("sojourn_failed", "Messages that were not stored, by code", ["code"], registry=of)
        self.connections = Gauge("sojourn_connections", "Open WebSockets", registry=of)
        self.commit_seconds = Histogram("sojourn_commit_seconds", "Seconds per commit", buckets=_SECONDS, registry=of)
        self.queue_depth = Gauge("sojourn_queue_depth", "Messages that wait to be durable", registry=of)
        self.queue_bytes = Gauge("sojourn_queue_bytes", "Bytes that wait to be durable", registry=of)

    def watch(self, depth: Callable[[], float], waiting: Callable[[], float], connections: Callable[[], float]) -> None:
        """Ask for what changes all the time only when somebody looks."""
        self.queue_depth.set_function(depth)
        self.queue_bytes.set_function(waiting)
        self.connections.set_function(connections)

    def text(self) -> bytes:
        """Everything, in Prometheus' text form."""
        return generate_latest(self.registry)
