"""The PromQL expressions of the dashboard and the rules, and the metrics and labels that they use. As a program, it prints
all expressions as JSON, `[{"where", "expr"}]`, with the variables of the dashboard filled in."""

import json
import pathlib
import re

import yaml

DEPLOY = pathlib.Path(__file__).parents[2] / "deploy"
WORDS = {"and", "or", "unless", "offset", "bool", "inf", "nan"}
GROUPING = r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^()]*)\)"
SUFFIXES = ("_bucket", "_sum", "_count")


def rules():
    groups = yaml.safe_load((DEPLOY / "prometheus/alerts.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard():
    return json.loads((DEPLOY / "grafana/tollgate.json").read_text())


def filled(text, window="5m"):
    """A query of the dashboard as Grafana sends it."""
    values = {"$__rate_interval": window, "$job": "tollgate", "$model": ".*"}
    for name, value in values.items():
        text = text.replace(name, value)
    assert "$" not in text, f"an unknown variable in {text}"
    return text


def of_dashboard(window="5m"):
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", []):
            yield f"panel {panel['title']}, {target['refId']}", filled(target["expr"], window)


def of_rules():
    for rule in rules():
        yield f"rule {rule.get('alert') or rule['record']}", rule["expr"]


def family(metric):
    """The metric that a histogram's series belongs to."""
    for suffix in SUFFIXES:
        if metric.endswith("_seconds" + suffix):
            return metric.removesuffix(suffix)
    return metric


def selected(expr):
    """The metrics that an expression selects, each with the labels in its selector."""
    plain = re.sub(GROUPING, " ", re.sub(r'"(?:[^"\\]|\\.)*"', '""', expr))
    names = re.finditer(r"(?<![\w:.])([a-zA-Z_:][\w:]*+)(?!\s*\()(?:\s*(\{[^}]*\}))?", re.sub(r"\[[^]]*\]", " ", plain))
    for match in names:
        name, selector = match.groups()
        if name not in WORDS:
            yield name, set(re.findall(r"(\w+)\s*[=!]", selector or ""))


def grouped(expr):
    """The labels that an expression groups by."""
    return {label.strip() for group in re.findall(GROUPING, expr) for label in group.split(",") if label.strip()}


if __name__ == "__main__":
    everything = [*of_dashboard(), *of_rules()]
    print(json.dumps([{"where": where, "expr": expr} for where, expr in everything], indent=1))
