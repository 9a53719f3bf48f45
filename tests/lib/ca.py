"""A throw-away CA (certs/devca.sh): one CA certificate and server certificates signed by it."""

import os
import subprocess
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class CA:
    """ca.pem in `folder`, and NAME.pem / NAME.key for each issue(NAME)."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)  # devca.sh would make it for its owner alone
        os.chmod(folder, 0o755)
        self.cert = os.path.join(folder, "ca.pem")
        self.issue("localhost")

    def issue(self, name):
        """(certificate file, key file) of a server called name, localhost and 127.0.0.1."""
        done = subprocess.run([os.path.join(ROOT, "certs/devca.sh"), self.folder, name],
                              capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError("devca.sh: %s" % done.stderr)
        return os.path.join(self.folder, name + ".pem"), os.path.join(self.folder, name + ".key")

    def make(self, path, names, key="ec", days=30):
        """
        One PEM file with key, certificate and chain, for any names ("*.example.com", "IP:127.0.0.1" too), put in place as renewal
        tools do it: by a rename. key: "ec" or "rsa"; days -1: expired.
        """
        kind = {"ec": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "rsa": ["-newkey", "rsa:2048"]}
        with tempfile.TemporaryDirectory(dir=os.path.dirname(path)) as work:
            key_file, asked, cert = (os.path.join(work, part) for part in ("key", "asked", "cert"))
            self._openssl("req", "-new", "-batch", "-nodes", "-subj", "/CN=" + names[0], "-addext",
                          "subjectAltName=" + ",".join(n if n.startswith("IP:") else "DNS:" + n for n in names),
                          "-keyout", key_file, "-out", asked, *kind[key])
            self._openssl("x509", "-req", "-in", asked, "-CA", self.cert, "-CAkey", os.path.join(self.folder, "ca.key"),
                          "-copy_extensions", "copy", "-sha256", "-days", str(days), "-out", cert)
            whole = os.path.join(work, "whole")
            with open(whole, "wb") as out:
                for part in (key_file, cert):
                    with open(part, "rb") as f:
                        out.write(f.read())
            os.chmod(whole, 0o644)      # the programs run as another account; a key of a test is no secret
            os.rename(whole, path)
        return path

    @staticmethod
    def _openssl(*args):
        done = subprocess.run(["openssl", *args], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError("openssl %s: %s" % (" ".join(args), done.stderr))
