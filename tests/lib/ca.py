"""A throw-away CA (certs/devca.sh): one CA certificate and server certificates signed by it."""

import os
import subprocess

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
