"""Prometheus, alerts, dashboard and collector: each checked by its own tool, and every metric and label compared with
those that a real Prometheus scrapes."""

import json
import os
import re
import subprocess
import time
import urllib.parse
import urllib.request

import grpc
import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

import queries
from program import DEPLOY, ROOT, checked, free_port, gateway, run

WINDOW_S = 12
# the labels that Prometheus adds
TARGET_LABELS = {"job", "instance"}


def test_prometheus_accepts_its_files():
    checked(os.environ["PROMTOOL"], "check", "config", DEPLOY / "prometheus/prometheus.yaml")


def test_each_alert_fires_only_for_its_fault():
    checked(os.environ["PROMTOOL"], "test", "rules", ROOT / "tests/deploy/alerts.yaml")


def test_every_alert_is_tested_and_documented():
    alerts = {rule["alert"]: rule for rule in queries.rules() if "alert" in rule}
    tested = yaml.safe_load((ROOT / "tests/deploy/alerts.yaml").read_text())["tests"]
    fired = {case["alertname"] for test in tested for case in test["alert_rule_test"] if case.get("exp_alerts")}
    assert fired == set(alerts)
    sections = re.findall(r"^## (\w+)$", (ROOT / "docs/alerts.md").read_text(), re.MULTILINE)
    assert set(sections) == set(alerts) and len(sections) == len(alerts)
    for name, alert in alerts.items():
        assert alert["annotations"]["runbook"] == f"docs/alerts.md#{name.lower()}"
        assert alert["annotations"]["summary"] and alert["labels"]["severity"] in ("page", "ticket")


def test_the_panels_in_the_documentation_exist():
    titles = {panel["title"] for panel in queries.dashboard()["panels"]}
    text = " ".join((ROOT / "docs/alerts.md").read_text().split())
    named = set(re.findall(r"(?<!\*)\*([A-Z][^*]+)\*(?!\*)", text))
    assert named and named <= titles, named - titles


def test_the_collector_accepts_its_file(tmp_path):
    file = DEPLOY / "collector/config.yaml"
    checked(os.environ["OTELCOL"], "validate", "--config", file)
    wrong = tmp_path / "config.yaml"
    wrong.write_text(file.read_text().replace("check_interval", "check_intervals"))
    assert run(os.environ["OTELCOL"], "validate", "--config", wrong).returncode != 0


def lost(given, kept, path="dashboard"):
    """The paths of a document that another one lacks."""
    if isinstance(given, dict) and isinstance(kept, dict):
        for name, value in given.items():
            yield from lost(value, kept.get(name), f"{path}.{name}")
    elif isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        for index, value in enumerate(given):
            yield from lost(value, kept[index], f"{path}[{index}]")
    elif given != kept:
        yield path


def test_grafana_supports_every_key_of_the_dashboard():
    register_default_plugins()
    as_grafana_has_it = lambda document: json.loads(JSONEncoder().encode(Dashboard.from_json(document)))
    dashboard = queries.dashboard()
    assert not list(lost(dashboard, as_grafana_has_it(dashboard)))
    dashboard["panels"][1]["fieldConfig"]["defaults"]["unheard"] = 1
    assert list(lost(dashboard, as_grafana_has_it(dashboard))) == ["dashboard.panels[1].fieldConfig.defaults.unheard"]


def test_the_panels_do_not_overlap():
    cells = set()
    panels = queries.dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        own = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not own & cells, panel["title"]
        cells |= own
        assert panel["type"] == "row" or panel["description"], panel["title"]


class Prometheus:
    """A Prometheus with our rules that scrapes a gateway once a second."""

    def __init__(self, folder, target):
        config = yaml.safe_load((DEPLOY / "prometheus/prometheus.yaml").read_text())
        config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(DEPLOY / "prometheus/alerts.yaml")]
        config["scrape_configs"] = [job for job in config["scrape_configs"] if job["job_name"] == "tollgate"]
        config["scrape_configs"][0]["static_configs"][0]["targets"] = [target]
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
        self.address = f"127.0.0.1:{free_port()}"
        command = [
            os.environ["PROMETHEUS"],
            f"--config.file={folder}/prometheus.yaml",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address={self.address}",
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def ask(self, path, **parameters):
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        end = time.monotonic() + 30
        while True:
            try:
                with urllib.request.urlopen(url) as answer:
                    return json.load(answer)["data"]
            except urllib.error.HTTPError as error:
                raise AssertionError(error.read().decode()) from error
            except OSError:
                assert self.process.poll() is None and time.monotonic() < end, "Prometheus is not running"
                time.sleep(0.2)

    def stop(self):
        self.process.terminate()
        self.process.wait()


def traffic(running, seconds):
    """Makes calls of every kind that a panel shows: encrypted fields, objects, refusals, a server error."""
    channel = grpc.insecure_channel(running.address)
    unknown = channel.unary_unary("/tollgate.v1.DataService/Unheard")
    end, turn = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        turn += 1
        running.call("save", "User", f"pk=u#{turn}", "sk=p", "ssn=1")
        running.call("get", "User", f"pk=u#{turn}", "sk=p")
        running.call("save", "Document", "pk=d", "sk=1", f"content=@{ROOT / 'Cargo.lock'}")
        with pytest.raises(grpc.RpcError):
            unknown(b"")
    channel.close()


@pytest.fixture(scope="module")
def scraped(tmp_path_factory):
    """A Prometheus that has scraped a busy gateway for a while, and the gateway's metrics page."""
    with gateway("--memory", "--models", ROOT / "models") as running:
        prometheus = Prometheus(tmp_path_factory.mktemp("prometheus"), running.metrics)
        try:
            traffic(running, WINDOW_S)
            prometheus.worked_until = time.time()
            with urllib.request.urlopen(f"http://{running.metrics}/metrics") as page:
                yield prometheus, page.read().decode()
        finally:
            prometheus.stop()


def labels_on(page):
    """The metrics of a page, each with all its labels."""
    found = {}
    for name, labels in re.findall(r"^([a-zA-Z_:][\w:]*)(\{.*\})? ", page, re.MULTILINE):
        found.setdefault(queries.family(name), set()).update(re.findall(r'(\w+)="', labels))
    return found


def recorded():
    """The recorded metrics, each with the labels that it keeps."""
    return {rule["record"]: queries.grouped(rule["expr"]) | TARGET_LABELS for rule in queries.rules() if "record" in rule}


def test_the_list_of_metrics_matches_the_program(scraped):
    listed = (DEPLOY / "metrics.txt").read_text().split()
    assert listed == sorted(set(listed))
    shown = set(re.findall(r"^# TYPE (\S+) ", scraped[1], re.MULTILINE)) - {"target_info"}
    assert shown == set(listed)


def test_every_metric_and_label_of_a_query_exists(scraped):
    known = {**labels_on(scraped[1]), **recorded(), "up": set()}
    for where, expr in [*queries.of_dashboard(), *queries.of_rules()]:
        of_all = set(TARGET_LABELS)
        assert list(queries.selected(expr)), where
        for metric, labels in queries.selected(expr):
            name = queries.family(metric)
            assert name in known, f"{where}: {metric}"
            assert labels <= known[name] | TARGET_LABELS, f"{where}: {labels - known[name]}"
            of_all |= known[name]
        assert queries.grouped(expr) <= of_all, f"{where}: {queries.grouped(expr) - of_all}"


def test_every_metric_is_on_the_dashboard():
    shown = {queries.family(metric) for _, expr in queries.of_dashboard() for metric, _ in queries.selected(expr)}
    assert shown - {"up"} == set((DEPLOY / "metrics.txt").read_text().split())


def test_the_variables_of_the_dashboard_have_values(scraped):
    for variable in queries.dashboard()["templating"]["list"]:
        if variable["type"] == "query":
            inner = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"])
            series = scraped[0].ask("series", **{"match[]": queries.filled(inner.group(1))})
            assert any(inner.group(2) in one for one in series), variable["name"]


@pytest.mark.parametrize("where, expr", list(queries.of_dashboard(f"{WINDOW_S}s")), ids=lambda text: text[:40])
def test_every_panel_has_data(scraped, where, expr):
    result = scraped[0].ask("query", query=expr, time=scraped[0].worked_until)["result"]
    figures = [float(series["value"][1]) for series in result]
    assert any(figure == figure for figure in figures), f"{where}: {figures}"


def test_prometheus_evaluates_every_rule(scraped):
    groups = scraped[0].ask("rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) == len(queries.rules())
    assert {rule["health"] for rule in rules} == {"ok"}, [rule.get("lastError") for rule in rules]
    # a minute of normal traffic fires no alert
    assert not [rule["name"] for rule in rules if rule.get("state") == "firing"]
