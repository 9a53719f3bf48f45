"""Signed messages and whether they still verify, by openssl: S/MIME (RFC 8551) and DKIM (RFC 6376, simple/simple)."""

import base64
import hashlib
import os
import re
import subprocess

SIGNED = (b"From", b"To", b"Subject")


def openssl(*args, data=None):
    return subprocess.run(("openssl",) + args, input=data, capture_output=True)


class Signer:
    """A key and its certificate in a folder of the test's own."""

    def __init__(self, folder):
        self.key, self.cert, self.public = (os.path.join(folder, n) for n in ("signer.key", "signer.pem", "signer.pub"))
        self._sig = os.path.join(folder, "signature")
        assert openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", self.key, "-out", self.cert,
                       "-subj", "/CN=anna@example.com", "-days", "2").returncode == 0
        with open(self.public, "wb") as f:
            f.write(openssl("pkey", "-in", self.key, "-pubout").stdout)

    def smime(self, text):
        done = openssl("cms", "-sign", "-signer", self.cert, "-inkey", self.key, "-text", "-crlfeol", "-from",
                       "anna@example.com", "-subject", "signed", data=text)
        assert done.returncode == 0, done.stderr
        return re.sub(rb"\r?\n", b"\r\n", done.stdout)     # its own header has bare LFs

    def smime_holds(self, message):
        return openssl("cms", "-verify", "-CAfile", self.cert, "-purpose", "any", data=message).returncode == 0

    # ---- DKIM

    @staticmethod
    def _parts(message):
        head, _, body = message.partition(b"\r\n\r\n")
        fields = re.findall(rb"[^\r\n]+(?:\r\n[ \t][^\r\n]*)*", head)
        return {f.split(b":")[0]: f for f in fields}, re.sub(rb"(\r\n)+\Z", b"", body) + b"\r\n"

    def _hashed(self, fields, signature):
        return b"".join(fields[n] + b"\r\n" for n in SIGNED) + signature

    def dkim(self, message):
        fields, body = self._parts(message)
        head = (b"DKIM-Signature: v=1; a=rsa-sha256; c=simple/simple; d=example.com; s=test;\r\n\th=%s;\r\n\tbh=%s;"
                b"\r\n\tb=" % (b":".join(SIGNED), base64.b64encode(hashlib.sha256(body).digest())))
        made = openssl("dgst", "-sha256", "-sign", self.key, data=self._hashed(fields, head)).stdout
        return head + base64.b64encode(made) + b"\r\n" + message

    def dkim_holds(self, message):
        fields, body = self._parts(message)
        field = fields[b"DKIM-Signature"]
        head, _, made = field.rpartition(b"\tb=")
        with open(self._sig, "wb") as f:
            f.write(base64.b64decode(made))
        bh = re.search(rb"\tbh=([^;]+);", field).group(1)
        return base64.b64decode(bh) == hashlib.sha256(body).digest() and openssl(
            "dgst", "-sha256", "-verify", self.public, "-signature", self._sig,
            data=self._hashed(fields, head + b"\tb=")).returncode == 0
