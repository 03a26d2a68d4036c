"""Every overlay renders, fits the schemas of Kubernetes, and agrees with the programs: each flag,
port, path and metric that a manifest names exists in the code."""
import functools
import itertools
import json
import os
import pathlib
import re
import shutil
import subprocess
import unittest

import yaml

HERE = pathlib.Path(__file__).absolute().parent
ROOT = HERE.parents[1]
TOOLS = ROOT.parent / "python_tools" / "bin"
# kustomize follows no link out of its tree, and a test's inputs are links.
COPY = pathlib.Path(os.environ["TEST_TMPDIR"]) / "deploy"
shutil.copytree(str(HERE.parent), str(COPY))
OVERLAYS = sorted(path.name for path in (HERE / "overlays").iterdir())
MAINS = {
    "navit-coordinator": "server/coordinator_main.cc",
    "navit-packer": "packer/packer_main.cc",
    "navit-trainer": "worker/trainer_main.cc",
}
# Another image of a program.
VARIANTS = {"navit-trainer-cuda": "navit-trainer"}
# Programs of others, and ports of others that ours dial: DNS, object stores, etcd.
FOREIGN_IMAGES = {"etcd"}
FOREIGN_PORTS = {53, 80, 443, 2379, 2380}
# Trainers of one pod, at most: each has an HTTP port of its own, which is scraped.
MOST_TRAINERS = 8
CODE = list(MAINS.values()) + ["common/http_server.cc", "server/metrics.cc"]


def read_code():
    """The sources that manifests are held against, by path."""
    return {path: (ROOT / path).read_text() for path in CODE}


def flags(code, program):
    return set(re.findall(r"ABSL_FLAG\([^,]+, (\w+),", code[MAINS[program]]))


def ports(code, program):
    """Default ports of a program's listeners."""
    listens = re.findall(r'ABSL_FLAG\(std::string, listen\w*, "[^"]*:(\d+)"', code[MAINS[program]])
    return {int(port) for port in listens}


def trainer_ports(code):
    """HTTP ports of the trainers of one pod, by the names that manifests give them."""
    (first,) = ports(code, "navit-trainer")
    others = {"http-{}".format(i): first + i for i in range(1, MOST_TRAINERS)}
    return dict(others, http=first)


@functools.lru_cache(maxsize=None)
def render(overlay):
    done = subprocess.run(
        [str(TOOLS / "kubectl"), "kustomize", str(COPY / "kubernetes" / "overlays" / overlay)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise AssertionError("{}: {}".format(overlay, done.stderr))
    return done.stdout


def containers(resources):
    """Of our own programs."""
    for resource in resources:
        if resource["kind"] in ("Deployment", "StatefulSet"):
            for container in resource["spec"]["template"]["spec"]["containers"]:
                if container["image"].split(":")[0] in FOREIGN_IMAGES:
                    continue
                yield "{}/{}".format(resource["kind"], resource["metadata"]["name"]), container


def port_ranges(resources):
    """(first, last) of each range that a container is told to listen in."""
    values = [
        entry.get("value", "")
        for _, container in containers(resources)
        for entry in container["env"]
        if entry["name"].endswith("_PORTS")
    ]
    return {tuple(int(end) for end in value.split("-")) for value in values}


def disagreements(resources, code):
    """What the resources name that the code does not have, in words."""
    found = []
    own = set().union(*(ports(code, program) for program in MAINS))
    trainers = trainer_ports(code).values()
    ranges = port_ranges(resources) | {(min(trainers), max(trainers))}
    for name, container in containers(resources):
        found += container_disagreements(name, container, code)
    for resource in resources:
        name = "{}/{}".format(resource["kind"], resource["metadata"]["name"])
        if resource["kind"] == "NetworkPolicy":
            rules = resource["spec"].get("ingress", []) + resource["spec"].get("egress", [])
            for port in (port for rule in rules for port in rule.get("ports", [])):
                if "endPort" in port:
                    known = (port["port"], port["endPort"]) in ranges
                else:
                    known = port["port"] in own | FOREIGN_PORTS
                if not known:
                    found.append("{}: nothing listens on port {}".format(name, port["port"]))
        if resource["kind"] in ("ScaledObject", "HorizontalPodAutoscaler"):
            for metric in re.findall(r"\bnavit_[a-z_]+", json.dumps(resource)):
                if '"{}"'.format(metric) not in code["server/metrics.cc"]:
                    found.append("{}: no metric {}".format(name, metric))
        if resource["kind"] == "PodMonitor":
            scraped = {endpoint["port"] for endpoint in resource["spec"]["podMetricsEndpoints"]}
            if scraped != set(trainer_ports(code)):
                found.append("{}: scrapes {}".format(name, sorted(scraped)))
    return found


def container_disagreements(name, container, code):
    found = []
    image = container["image"].split(":")[0]
    program = VARIANTS.get(image, image)
    for variable in (entry["name"] for entry in container["env"]):
        flag = variable[len("NAVIT_") :].lower()
        if not variable.startswith("NAVIT_") or flag not in flags(code, program):
            found.append("{}: {} has no flag for {}".format(name, program, variable))
    named = {port["name"]: port["containerPort"] for port in container["ports"]}
    listened = ports(code, program)
    if "NAVIT_DEVICES" in {entry["name"] for entry in container["env"]}:
        listened = set(trainer_ports(code).values())
        if set(named) != set(trainer_ports(code)):
            found.append("{}: the ports of its trainers are {}".format(name, sorted(named)))
    for port in named.values():
        if port not in listened:
            found.append("{}: {} does not listen on {}".format(name, program, port))
    for entry in container["env"]:
        address = re.search(r":(\d+)$", entry.get("value", ""))
        if "LISTEN" in entry["name"] and address and int(address.group(1)) not in named.values():
            found.append("{}: {} is no port of the container".format(name, entry["value"]))
        if entry["name"] == "NAVIT_COORDINATOR":
            if int(address.group(1)) not in ports(code, "navit-coordinator"):
                found.append("{}: no coordinator on {}".format(name, entry["value"]))
    for probe in ("readinessProbe", "livenessProbe"):
        request = container.get(probe, {}).get("httpGet")
        # /metrics is named where it is served, in each program.
        served = code["common/http_server.cc"] + code[MAINS[program]]
        if request and '"{}"'.format(request["path"]) not in served:
            found.append("{}: no HTTP path {}".format(name, request["path"]))
        if request and request["port"] not in named:
            found.append("{}: no port {}".format(name, request["port"]))
        grpc = container.get(probe, {}).get("grpc")
        if grpc and grpc["port"] not in named.values():
            found.append("{}: no port {}".format(name, grpc["port"]))
    return found


def components(selector, everyone):
    """The components whose pods a label selector of a NetworkPolicy means."""
    label = "app.kubernetes.io/component"
    meant = set(everyone)
    if label in selector.get("matchLabels", {}):
        meant = {selector["matchLabels"][label]}
    for expression in selector.get("matchExpressions", []):
        if expression["key"] == label and expression["operator"] == "In":
            meant &= set(expression["values"])
    return meant


def flows(resources, direction, peer):
    """{(from, to, port)} between components that the policies allow at one end of them: `direction`
    egress with `peer` to, or ingress with from."""
    everyone = {"client"} | {
        resource["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/component"]
        for resource in resources
        if resource["kind"] in ("Deployment", "StatefulSet")
    }
    found = set()
    for policy in (r for r in resources if r["kind"] == "NetworkPolicy"):
        here = components(policy["spec"]["podSelector"], everyone)
        for rule in policy["spec"].get(direction, []):
            selectors = [p["podSelector"] for p in rule.get(peer, []) if "podSelector" in p]
            there = set().union(*(components(selector, everyone) for selector in selectors))
            for a, b, port in itertools.product(here, there, rule.get("ports", [{"port": 1, "endPort": 65535}])):
                pair = (a, b) if direction == "egress" else (b, a)
                found.add(pair + ("{}-{}".format(port["port"], port.get("endPort", port["port"])),))
    return found


class KubernetesTest(unittest.TestCase):
    def test_every_overlay_renders_and_fits_the_schemas(self):
        self.assertIn("local", OVERLAYS)
        for overlay in OVERLAYS:
            rendered = render(overlay)
            done = subprocess.run(
                [str(TOOLS / "kubernetes-validate"), "--strict", "-"],
                input=rendered,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            self.assertEqual(done.returncode, 0, "{}: {}".format(overlay, done.stdout))
            # Custom resources have no schema there; every other one has been held against its own.
            custom = ("cert-manager.io/", "monitoring.coreos.com/", "keda.sh/")
            known = [
                resource
                for resource in yaml.safe_load_all(rendered)
                if not resource["apiVersion"].startswith(custom)
            ]
            self.assertEqual(done.stdout.count("passed for resource"), len(known), done.stdout)

    def test_flags_ports_paths_and_metrics_exist_in_the_code(self):
        code = read_code()
        for overlay in OVERLAYS:
            resources = list(yaml.safe_load_all(render(overlay)))
            self.assertEqual(disagreements(resources, code), [], overlay)

    def test_a_rename_in_a_manifest_is_found(self):
        rendered = render("gpu")
        for old, new, said in (
            ("NAVIT_NAME", "NAVIT_NOM", "navit-packer has no flag for NAVIT_NOM"),
            ("containerPort: 7443", "containerPort: 9999", "navit-packer does not listen on 9999"),
            ("path: /healthz", "path: /alive", "no HTTP path /alive"),
            ("port: 7442", "port: 7449", "NetworkPolicy/navit-packs-in: nothing listens on port 7449"),
            ("port: 7440", "port: 7449", "NetworkPolicy/navit-workers: nothing listens on port 7449"),
            ("endPort: 7524", "endPort: 7523", "navit-collectives: nothing listens on port 7461"),
            ("endPort: 7452", "endPort: 7450", "navit-scrapes: nothing listens on port 7445"),
            ("name: http-7", "name: http-8", "navit-trainer: the ports of its trainers are"),
            ("containerPort: 7452", "containerPort: 7453", "navit-trainer does not listen on 7453"),
            ("port: http-7", "port: http-8", "PodMonitor/navit-workers: scrapes"),
            ("navit-coordinator:7440", "navit-coordinator:7444", "no coordinator on"),
            ("navit_packers_desired", "navit_packers_wanted", "no metric navit_packers_wanted"),
        ):
            self.assertIn(old, rendered)
            resources = list(yaml.safe_load_all(rendered.replace(old, new)))
            self.assertIn(said, "\n".join(disagreements(resources, read_code())))

    def test_a_rename_in_the_code_is_found(self):
        resources = list(yaml.safe_load_all(render("gpu")))
        for path, old, new, said in (
            ("packer/packer_main.cc", "drain_seconds", "drain_limit", "no flag for NAVIT_DRAIN_SECONDS"),
            ("worker/trainer_main.cc", "collective_ports", "ring_ports", "NAVIT_COLLECTIVE_PORTS"),
            ("worker/trainer_main.cc", "devices,", "gpus,", "no flag for NAVIT_DEVICES"),
            ("worker/trainer_main.cc", ":7445", ":7446", "navit-trainer does not listen on 7445"),
            ("server/coordinator_main.cc", ":7440", ":7439", "nothing listens on port 7440"),
            ("common/http_server.cc", '"/healthz"', '"/livez"', "no HTTP path /healthz"),
            ("server/metrics.cc", "navit_trainers_desired", "navit_ranks_desired", "no metric"),
        ):
            code = read_code()
            self.assertIn(old, code[path])
            code[path] = code[path].replace(old, new)
            self.assertIn(said, "\n".join(disagreements(resources, code)))

    def test_components_that_no_overlay_has_render_and_agree(self):
        folder = COPY / "kubernetes" / "overlays" / "adapter"
        folder.mkdir()
        (folder / "kustomization.yaml").write_text(
            "resources: [../../base]\n"
            "components:\n"
            "  - ../../components/insecure\n"
            "  - ../../components/prometheus-adapter\n"
            "  - ../../components/images\n"
        )
        resources = list(yaml.safe_load_all(render("adapter")))
        self.assertEqual(disagreements(resources, read_code()), [])
        (scaler,) = [r for r in resources if r["kind"] == "HorizontalPodAutoscaler"]
        metric = scaler["spec"]["metrics"][0]["external"]["metric"]["name"]
        values = HERE / "components" / "prometheus-adapter" / "adapter-values.yaml"
        (rule,) = yaml.safe_load(values.read_text())["rules"]["external"]
        self.assertEqual(rule["seriesQuery"], metric)

    def check_replicated(self, resources):
        """Several coordinators, found by one name, whose state is not in a file. Returns the leaders'
        environment by name."""
        self.assertEqual(disagreements(resources, read_code()), [])
        (service,) = [r for r in resources if r["kind"] == "Service" and r["metadata"]["name"] == "navit-coordinator"]
        self.assertEqual(service["spec"]["clusterIP"], "None")
        for name, container in containers(resources):
            environment = {entry["name"]: entry for entry in container["env"]}
            if name != "StatefulSet/navit-coordinator":
                self.assertEqual(environment["NAVIT_COORDINATOR"]["value"], "dns:///navit-coordinator:7440")
                continue
            # A coordinator that stands by serves no gRPC, but is ready.
            self.assertIn("httpGet", container["readinessProbe"])
            self.assertIn("httpGet", container["livenessProbe"])
            leader = environment
        (coordinator,) = [r for r in resources if r["kind"] == "StatefulSet" and r["metadata"]["name"] == "navit-coordinator"]
        self.assertGreaterEqual(coordinator["spec"]["replicas"], 2)
        self.assertIn("NAVIT_LOGS", leader)
        return leader

    def test_coordinators_of_the_ha_overlay_share_an_etcd(self):
        resources = list(yaml.safe_load_all(render("ha")))
        state = self.check_replicated(resources)["NAVIT_STATE"]["value"]
        host, port = re.fullmatch(r"etcd://([\w-]+):(\d+)/\w+", state).groups()
        (service,) = [r for r in resources if r["kind"] == "Service" and r["metadata"]["name"] == host]
        self.assertIn(int(port), [entry["port"] for entry in service["spec"]["ports"]])
        (member,) = [r for r in resources if r["kind"] == "StatefulSet" and r["metadata"]["name"] == host]
        (container,) = member["spec"]["template"]["spec"]["containers"]
        (cluster,) = [a for a in container["args"] if a.startswith("--initial-cluster=")]
        self.assertEqual(cluster.count("=http://"), member["spec"]["replicas"])

    def test_coordinators_may_share_an_etcd_that_is_there_already(self):
        folder = COPY / "kubernetes" / "overlays" / "external"
        folder.mkdir()
        (folder / "kustomization.yaml").write_text(
            "resources: [../../base]\n"
            "components:\n"
            "  - ../../components/insecure\n"
            "  - ../../components/ha\n"
            "  - ../../components/etcd-external\n"
            "  - ../../components/images\n"
        )
        leader = self.check_replicated(list(yaml.safe_load_all(render("external"))))
        self.assertEqual(leader["NAVIT_STATE"]["valueFrom"]["configMapKeyRef"]["name"], "navit-etcd")
        self.assertNotIn("value", leader["NAVIT_STATE"])
        self.assertIn("NAVIT_ETCD_TLS_CA", leader)

    def test_every_flow_is_allowed_at_both_of_its_ends(self):
        for overlay in OVERLAYS:
            resources = list(yaml.safe_load_all(render(overlay)))
            out = flows(resources, "egress", "to")
            self.assertEqual(out, flows(resources, "ingress", "from"), overlay)
            for role in ("packer", "trainer", "client"):
                self.assertIn((role, "coordinator", "7440-7440"), out, overlay)
            self.assertIn(("trainer", "trainer", "7461-7524"), out, overlay)
            # It dials no worker.
            self.assertEqual({b for a, b, _ in out if a == "coordinator"} - {"etcd"}, set(), overlay)

    def test_paths_of_a_job_file_are_the_same_in_every_pod_that_reads_them(self):
        read = {
            "/data": {"coordinator", "packer", "trainer"},
            "/checkpoints": {"coordinator", "trainer"},
            "/indexes": {"packer"},
        }
        for overlay in OVERLAYS:
            mounted = {}
            for resource in yaml.safe_load_all(render(overlay)):
                if resource["kind"] not in ("Deployment", "StatefulSet"):
                    continue
                pod = resource["spec"]["template"]["spec"]
                claims = {
                    volume["name"]: volume["persistentVolumeClaim"]["claimName"]
                    for volume in pod.get("volumes", [])
                    if "persistentVolumeClaim" in volume
                }
                for mount in pod["containers"][0]["volumeMounts"]:
                    if mount["name"] in claims:
                        self.assertEqual(claims[mount["name"]], "navit-" + mount["mountPath"][1:])
                        component = pod["containers"][0]["name"]
                        mounted.setdefault(mount["mountPath"], set()).add(component)
            self.assertEqual(mounted, read, overlay)

    def test_what_an_autoscaler_chooses_is_not_set_back(self):
        scaled = {"gpu": {"navit-packer", "navit-trainer"}}
        for overlay in OVERLAYS:
            for resource in yaml.safe_load_all(render(overlay)):
                if resource["kind"] == "Deployment":
                    named = resource["metadata"]["name"] in scaled.get(overlay, ())
                    self.assertNotEqual(named, "replicas" in resource["spec"], overlay)

    def test_every_overlay_chooses_between_tls_and_none(self):
        for overlay in OVERLAYS:
            resources = list(yaml.safe_load_all(render(overlay)))
            for name, container in containers(resources):
                names = {entry["name"] for entry in container["env"]}
                if name.startswith("StatefulSet"):
                    chosen = ("NAVIT_TLS_CERT" in names, "NAVIT_INSECURE_LISTEN" in names)
                    self.assertIn(chosen, ((True, False), (False, True)), overlay)
                if overlay in ("gpu", "ha", "monitoring"):
                    self.assertIn("NAVIT_TLS_CA", names, overlay)

    def test_a_pod_that_ends_has_time_and_gpu_pods_train_on_all_their_gpus(self):
        resources = list(yaml.safe_load_all(render("gpu")))
        (trainer,) = [r for r in resources if r["metadata"]["name"] == "navit-trainer" and r["kind"] == "Deployment"]
        self.assertEqual(trainer["spec"]["strategy"]["rollingUpdate"], {"maxSurge": 0, "maxUnavailable": 1})
        pod = trainer["spec"]["template"]["spec"]
        self.assertGreaterEqual(pod["terminationGracePeriodSeconds"], 600)
        self.assertEqual(pod["runtimeClassName"], "nvidia")
        self.assertEqual(pod["tolerations"][0]["key"], "nvidia.com/gpu")
        (container,) = pod["containers"]
        self.assertTrue(container["image"].startswith("navit-trainer-cuda:"))
        gpus = container["resources"]["limits"]["nvidia.com/gpu"]
        self.assertLessEqual(int(gpus), MOST_TRAINERS)
        environment = {entry["name"]: entry.get("value") for entry in container["env"]}
        self.assertEqual(environment["NAVIT_DEVICES"], "all")
        first = int(environment["NAVIT_COLLECTIVE_PORTS"].split("-")[0])
        self.assertGreater(first, max(trainer_ports(read_code()).values()))
        (scaler,) = [r for r in resources if r["metadata"]["name"] == "navit-trainer" and r["kind"] == "ScaledObject"]
        self.assertEqual(scaler["spec"]["triggers"][0]["metadata"]["threshold"], gpus)
        (shm,) = [volume for volume in pod["volumes"] if volume["name"] == "shm"]
        self.assertEqual(shm["emptyDir"]["medium"], "Memory")

    def test_images_are_named_in_one_place(self):
        for path in HERE.rglob("*.yaml"):
            text = path.read_text()
            if path.parent.name == "images":
                self.assertEqual(text.count("newTag"), len(MAINS) + len(VARIANTS) + len(FOREIGN_IMAGES))
            else:
                self.assertNotIn("newName", text, path)
                for image in re.findall(r"image: (\S+)", text):
                    self.assertIn(image, set(MAINS) | FOREIGN_IMAGES, path)
        for overlay in OVERLAYS:
            for name, container in containers(list(yaml.safe_load_all(render(overlay)))):
                self.assertIn(":", container["image"], name)

    def test_pods_run_without_privileges(self):
        pods = [yaml.safe_load_all(render(overlay)) for overlay in OVERLAYS]
        for resource in itertools.chain(*pods):
            if resource["kind"] not in ("Deployment", "StatefulSet"):
                continue
            pod = resource["spec"]["template"]["spec"]
            self.assertTrue(pod["securityContext"]["runAsNonRoot"])
            self.assertFalse(pod["automountServiceAccountToken"])
            for container in pod["containers"]:
                security = container["securityContext"]
                self.assertTrue(security["readOnlyRootFilesystem"])
                self.assertFalse(security["allowPrivilegeEscalation"])
                self.assertEqual(security["capabilities"], {"drop": ["ALL"]})
                self.assertIn("memory", container["resources"]["requests"])


if __name__ == "__main__":
    unittest.main()
