"""The part of deploy/lint.sh that needs more than a command line. Usage: lint.py WORK COMPOSE_SCHEMA."""

import json
import pathlib
import re
import subprocess
import sys

import helm_python as helm
import jsonschema
import kubernetes_validate
import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm" / "prestage"
# The oldest that Chart.yaml allows, and the newest whose schemas the validator has.
KUBERNETES = ["1.29", "1.37"]
# Kinds whose schemas belong to operators: rendered and read, but not validated.
FOREIGN = {"ScaledObject", "ServiceMonitor", "PrometheusRule"}

problems: list[str] = []


def problem(where: str, what: object) -> None:
    problems.append(f"{where}: {what}")


def render(name: str) -> list[dict]:
    values = helm.values_from_yaml((CHART / "ci" / f"{name}-values.yaml").read_text())
    report = helm.lint(CHART, values, strict=True)
    for error in report["errors"]:
        problem(f"helm lint {name}", error)
    for message in report["messages"]:
        # 1 is advice; there is no icon.
        if message["severity"] > 1:
            problem(f"helm lint {name}", message)
    with helm.Chart.load(CHART) as chart:
        chart.validate_schema(values)
        manifests = chart.render(values, name="demo", namespace="builds")
    documents = []
    for path, text in manifests.items():
        if path.endswith(".txt"):
            continue
        documents += [document for document in yaml.safe_load_all(text) if document]
    return documents


def check_chart(work: pathlib.Path) -> list[str]:
    """Lints, renders and validates the chart; gives the PromQL that is in it."""
    queries = []
    for name in ["minimal", "full"]:
        documents = render(name)
        seen = set()
        for document in documents:
            kind, title = document["kind"], document["metadata"]["name"]
            where = f"chart ({name}): {kind} {title}"
            if (kind, title) in seen:
                problem(where, "is there twice")
            seen.add((kind, title))
            if kind == "Secret":
                problem(where, "secrets come from existing Secrets alone")
            if kind == "PrometheusRule":
                rules = work / "rules.yaml"
                rules.write_text(yaml.safe_dump(document["spec"]))
                done = subprocess.run(["promtool", "check", "rules", rules], capture_output=True, text=True)
                if done.returncode:
                    problem(where, done.stderr)
            if kind == "ScaledObject":
                queries += [trigger["metadata"]["query"] for trigger in document["spec"]["triggers"]]
            if kind in FOREIGN:
                continue
            for version in KUBERNETES:
                try:
                    kubernetes_validate.validate(document, version, strict=True)
                except Exception as error:
                    problem(f"{where} (Kubernetes {version})", error)
        needed = {"Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy", "ServiceAccount"}
        if name == "full":
            needed |= FOREIGN | {"HorizontalPodAutoscaler"}
        for kind in needed - {kind for kind, _ in seen}:
            problem(f"chart ({name})", f"no {kind} was rendered")

    # What must be refused.
    good = yaml.safe_load((CHART / "ci" / "minimal-values.yaml").read_text())
    bad = {
        "no seal key": {**good, "sealKey": {}},
        "a secret among the store's settings": {**good, "objects": {"env": {"AWS_SECRET_ACCESS_KEY": "x"}}},
        "an unknown key": {**good, "workerPool": []},
        "two pools of one name": {**good, "workerPools": [{"name": "a"}, {"name": "a"}]},
        "objects in a folder": {**good, "objects": {"url": "/var/packs"}},
    }
    for what, values in bad.items():
        try:
            with helm.Chart.load(CHART) as chart:
                chart.validate_schema(values)
                chart.render(values, name="demo", namespace="builds")
            problem("chart", f"{what} is not refused")
        except helm.HelmError:
            pass
    return queries


def check_compose(schema_file: str) -> None:
    schema = json.loads(pathlib.Path(schema_file).read_text())
    # The published schema is older than this key of the specification.
    schema["properties"].setdefault("name", {"type": "string"})
    text = (DEPLOY / "compose" / "compose.yaml").read_text()
    compose = yaml.safe_load(text)
    for error in jsonschema.Draft201909Validator(schema).iter_errors(compose):
        problem("compose: " + "/".join(map(str, error.path)), error.message)
    services = compose["services"]
    for name, service in services.items():
        where = f"compose: {name}"
        for other, how in service.get("depends_on", {}).items():
            if other not in services:
                problem(where, f"depends on {other}, which is no service")
            elif how["condition"] == "service_healthy" and "test" not in services[other].get("healthcheck", {}):
                problem(where, f"waits for the health of {other}, which has no check")
        for secret in service.get("secrets", []):
            if secret not in compose["secrets"]:
                problem(where, f"wants the secret {secret}, which is not defined")
        for network in service.get("networks", []):
            if network not in compose["networks"]:
                problem(where, f"is in the network {network}, which is not defined")
        for volume in service.get("volumes", []):
            source, target = volume.split(":")[:2]
            if re.fullmatch(r"[a-z0-9]+", source) and source not in compose["volumes"]:
                problem(where, f"mounts the volume {source}, which is not defined")
            if target.startswith("/dp/") and not volume.endswith(":ro"):
                problem(where, f"may write to the distribution point {target}")
        for key, value in service.get("environment", {}).items():
            if re.search(r"SECRET|PASSWORD|_KEY$|_KEY_ID$", key) and not str(value).startswith("/run/secrets/"):
                problem(where, f"{key} is in clear")
    written = (DEPLOY / "compose" / "make-secrets.sh").read_text()
    for secret, how in compose["secrets"].items():
        if f"$new/{secret}" not in written or how["file"] != f"./secrets/{secret}":
            problem("compose", f"make-secrets.sh does not make {secret}")


def check_collector() -> None:
    config = yaml.safe_load((DEPLOY / "compose" / "otel-collector.yaml").read_text())
    for name, pipeline in config["service"]["pipelines"].items():
        for kind in ["receivers", "processors", "exporters"]:
            for component in pipeline[kind]:
                if component not in config[kind]:
                    problem("collector", f"{name} names {component}, which is not among the {kind}")


def check_dashboard() -> list[str]:
    """Reads the dashboard; gives its PromQL."""
    dashboard = json.loads((DEPLOY / "monitoring" / "dashboard.json").read_text())
    ids = [panel["id"] for panel in dashboard["panels"]]
    if len(ids) != len(set(ids)):
        problem("dashboard", "two panels have one id")
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


def check_queries(work: pathlib.Path, queries: list[str]) -> None:
    rules = [
        {"record": f"lint:{number}", "expr": query.replace("$__rate_interval", "5m")}
        for number, query in enumerate(queries)
    ]
    file = work / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "lint", "rules": rules}]}))
    done = subprocess.run(["promtool", "check", "rules", file], capture_output=True, text=True)
    if done.returncode:
        problem("PromQL", done.stderr)


def check_settings() -> None:
    """Every PRESTAGE_ variable that is set in deploy/ is a setting of the command."""
    settings = [ROOT / "cli" / "src" / "args.rs", *(ROOT / "cli" / "src" / "args").glob("*.rs")]
    known = set(re.findall(r'env = "(PRESTAGE_\w+)"', "".join(path.read_text() for path in settings)))
    # Of the compose file itself: folders of this machine.
    known |= {"PRESTAGE_DP1", "PRESTAGE_DP2", "PRESTAGE_SITES"}
    files = [path for path in DEPLOY.rglob("*") if path.is_file() and path.suffix != ".py"]
    for path in [*files, ROOT / "Containerfile"]:
        for name in sorted(set(re.findall(r"PRESTAGE_[A-Z0-9_]+", path.read_text())) - known):
            problem(str(path.relative_to(ROOT)), f"{name} is no setting of prestage")


def main(work: str, compose_schema: str) -> None:
    folder = pathlib.Path(work)
    queries = check_chart(folder)
    check_compose(compose_schema)
    check_collector()
    check_queries(folder, queries + check_dashboard())
    check_settings()
    for line in problems:
        print(f"lint: {line}", file=sys.stderr)
    if problems:
        sys.exit(1)


main(sys.argv[1], sys.argv[2])
