"""The demo's own Prometheus: scrapes Envoy and the daemon every second."""

import shutil
from pathlib import Path

from rollout.mesh.translate.istio_metrics import scrape_config
from rollout.yaml_documents import dump

SCRAPE_INTERVAL = "1s"


def write_prometheus_config(root: Path, envoy_admin: str, daemon: str) -> Path:
    """Write its configuration and return the file."""
    jobs = [
        scrape_config(envoy_admin, SCRAPE_INTERVAL),
        {"job_name": "rollout", "scrape_interval": SCRAPE_INTERVAL, "static_configs": [{"targets": [daemon]}]},
    ]
    file = root / "prometheus.yaml"
    file.write_text(
        dump({"global": {"scrape_interval": SCRAPE_INTERVAL, "scrape_timeout": "1s"}, "scrape_configs": jobs})
    )
    return file


def prometheus_command(config: Path, data: Path, port: int) -> list[str]:
    """Its command line; it must be installed."""
    binary = shutil.which("prometheus")
    assert binary is not None, "the caller has looked"
    return [
        binary,
        f"--config.file={config}",
        f"--storage.tsdb.path={data}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--storage.tsdb.retention.time=2h",
        "--log.level=warn",
    ]
