"""Grafana dashboards and Prometheus alerts, made from code: `python -m dashboards.build`."""
