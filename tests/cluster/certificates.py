"""Certificates for tests of TLS, made by the program openssl."""
import ssl
import subprocess


class Certificates:
    """One certificate of a new authority, for servers and clients alike: ca.pem, tls.pem, tls.key in
    folder. Servers are `name` or 127.0.0.1."""

    def __init__(self, folder, name):
        folder.mkdir(parents=True)
        self.ca, self.certificate, self.key = (folder / n for n in ("ca.pem", "tls.pem", "tls.key"))
        new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
        authority = folder / "ca.key"
        self._openssl(*new, "-subj", "/CN=authority", "-keyout", authority, "-out", self.ca)
        names = "subjectAltName=DNS:{},IP:127.0.0.1".format(name)
        new += ["-CA", self.ca, "-CAkey", authority, "-addext", names, "-addext", "basicConstraints=CA:FALSE"]
        self._openssl(*new, "-subj", "/CN=member", "-keyout", self.key, "-out", self.certificate)

    @staticmethod
    def _openssl(*arguments):
        subprocess.run(["openssl"] + [str(a) for a in arguments], check=True, stderr=subprocess.PIPE)

    def context(self):
        context = ssl.create_default_context(cafile=str(self.ca))
        context.load_cert_chain(str(self.certificate), str(self.key))
        return context
