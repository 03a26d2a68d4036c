"""Every overlay renders, fits the schemas of Kubernetes, and agrees with the programs: each flag,
port, path and metric that a manifest names exists in the code."""
import copy
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
# Ports of others that ours dial: DNS, object stores.
FOREIGN_PORTS = {53, 80, 443}


def source(program):
    return (ROOT / MAINS[program]).read_text()


def flags(program):
    return set(re.findall(r"ABSL_FLAG\([^,]+, (\w+),", source(program)))


def ports(program):
    """Default ports of a program's listeners."""
    listens = re.findall(r'ABSL_FLAG\(std::string, listen\w*, "[^"]*:(\d+)"', source(program))
    return {int(port) for port in listens}


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


def disagreements(resources):
    """What the resources name that the code does not have, in words."""
    found = []
    for resource in resources:
        name = "{}/{}".format(resource["kind"], resource["metadata"]["name"])
        if resource["kind"] in ("Deployment", "StatefulSet"):
            for container in resource["spec"]["template"]["spec"]["containers"]:
                found += container_disagreements(name, container)
        if resource["kind"] == "NetworkPolicy":
            own = set().union(*(ports(program) for program in MAINS))
            rules = resource["spec"].get("ingress", []) + resource["spec"].get("egress", [])
            for port in (port["port"] for rule in rules for port in rule.get("ports", [])):
                if port not in own | FOREIGN_PORTS:
                    found.append("{}: nothing listens on port {}".format(name, port))
    return found


def container_disagreements(name, container):
    found = []
    program = container["image"].split(":")[0]
    for variable in (entry["name"] for entry in container["env"]):
        flag = variable[len("NAVIT_") :].lower()
        if not variable.startswith("NAVIT_") or flag not in flags(program):
            found.append("{}: {} has no flag for {}".format(name, program, variable))
    named = {port["name"]: port["containerPort"] for port in container["ports"]}
    for port in named.values():
        if port not in ports(program):
            found.append("{}: {} does not listen on {}".format(name, program, port))
    for entry in container["env"]:
        listens = re.search(r"LISTEN.*", entry["name"]) and re.search(r":(\d+)$", entry.get("value", ""))
        if listens and int(listens.group(1)) not in named.values():
            found.append("{}: {} is no port of the container".format(name, entry["value"]))
    for probe in ("readinessProbe", "livenessProbe"):
        request = container.get(probe, {}).get("httpGet")
        if request and '"{}"'.format(request["path"]) not in (ROOT / "common/http_server.cc").read_text():
            found.append("{}: no HTTP path {}".format(name, request["path"]))
        if request and request["port"] not in named:
            found.append("{}: no port {}".format(name, request["port"]))
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

    def test_flags_ports_and_paths_exist_in_the_code(self):
        for overlay in OVERLAYS:
            resources = list(yaml.safe_load_all(render(overlay)))
            self.assertEqual(disagreements(resources), [], overlay)

    def test_a_rename_on_one_side_is_found(self):
        resources = list(yaml.safe_load_all(render("local")))

        def changed(change):
            copies = copy.deepcopy(resources)
            packer = next(r for r in copies if r["metadata"]["name"] == "navit-packer" and r["kind"] == "Deployment")
            change(packer["spec"]["template"]["spec"]["containers"][0])
            return disagreements(copies)

        def rename_flag(container):
            container["env"][0]["name"] = "NAVIT_NOM"

        def move_port(container):
            container["ports"][0]["containerPort"] = 9999

        def rename_path(container):
            container["livenessProbe"]["httpGet"]["path"] = "/alive"

        self.assertIn("no flag for NAVIT_NOM", "".join(changed(rename_flag)))
        self.assertIn("does not listen on 9999", "".join(changed(move_port)))
        self.assertIn("no HTTP path /alive", "".join(changed(rename_path)))

    def test_metrics_of_the_autoscalers_exist(self):
        exported = (ROOT / "server/metrics.cc").read_text()
        for path in (HERE / "components").rglob("*.yaml"):
            for metric in re.findall(r"\bnavit_[a-z_]+", path.read_text()):
                self.assertIn('"{}"'.format(metric), exported, path)

    def test_images_are_named_in_one_place(self):
        for path in HERE.rglob("*.yaml"):
            text = path.read_text()
            if path.parent.name == "base" and path.name == "kustomization.yaml":
                self.assertEqual(text.count("newTag"), len(MAINS))
            else:
                self.assertNotIn("newName", text, path)
                for image in re.findall(r"image: (\S+)", text):
                    self.assertIn(image, MAINS, path)

    def test_pods_run_without_privileges(self):
        for resource in yaml.safe_load_all(render("monitoring")):
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
