"""A throw-away CA: one CA certificate and one server certificate signed by it."""

import os
import subprocess


class CA:
    """Certificates in `folder`: ca.pem, and NAME.pem / NAME.key for each issue(NAME)."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        self.cert = os.path.join(folder, "ca.pem")
        self._key = os.path.join(folder, "ca.key")
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                      "-days", "2", "-subj", "/CN=mailferry throw-away CA", "-keyout", self._key,
                      "-out", self.cert, "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def issue(self, name, hosts=("localhost",), addresses=("127.0.0.1", "::1")):
        """Returns (certificate file, key file) of a server that may call itself any of hosts."""
        cert = os.path.join(self.folder, name + ".pem")
        key = os.path.join(self.folder, name + ".key")
        request = os.path.join(self.folder, name + ".csr")
        extensions = os.path.join(self.folder, name + ".ext")
        names = ["DNS:" + h for h in hosts] + ["IP:" + a for a in addresses]
        with open(extensions, "w") as f:
            f.write("subjectAltName=%s\nextendedKeyUsage=serverAuth\n" % ",".join(names))
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                      "-subj", "/CN=" + hosts[0], "-keyout", key, "-out", request)
        self._openssl("x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self._key,
                      "-CAcreateserial", "-days", "2", "-extfile", extensions, "-out", cert)
        return cert, key

    @staticmethod
    def _openssl(*args):
        done = subprocess.run(["openssl", *args], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError("openssl %s: %s" % (args[0], done.stderr))
