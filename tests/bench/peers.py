"""The proxies that are compared: each writes its configuration, starts with one worker on one core, and ends."""

import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib import processes  # noqa: E402

START_TIMEOUT_S = 15
CONNECTIONS = 20000


class Way:
    """One way through a proxy: is there TLS towards the client, towards the backend; which certificate."""

    def __init__(self, text, certificate="ecdsa"):
        self.text, self.certificate = text, certificate
        front, back = text.split("-")
        self.front, self.back = front == "TLS", back == "TLS"


class Proxy:
    """
    bench   certificates {"rsa": (pem, key)}, backend ports plain, tls, auth; folder; build; proxy_core
    way     how it is configured
    """
    name = package = None
    does = ("plain-plain", "TLS-plain", "TLS-TLS")
    slow = False  # gets a tenth of the bytes, else it takes minutes

    def __init__(self, bench, way, cores=None):
        self.bench, self.way, self.cores = bench, way, cores or bench.proxy_core
        self.folder = os.path.join(bench.folder, self.name.replace(" ", "-"))
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        os.chmod(self.folder, 0o755)
        self.port = processes.free_ports(1)[0]
        self.started = []

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)
        return self.path(name)

    @property
    def backend_port(self):
        return self.bench.tls_port if self.way.back else self.bench.plain_port

    @property
    def certificate(self):
        return self.bench.certificates[self.way.certificate]

    def run(self, *command):
        log = open(self.path("log"), "ab")
        self.started.append(subprocess.Popen(["taskset", "-c", self.cores, *command], stdin=subprocess.DEVNULL,
                                             stdout=log, stderr=log, start_new_session=True))
        log.close()

    def start(self):
        self.launch()
        try:
            processes.wait_until(self._is_up, START_TIMEOUT_S, self.name)
        except (TimeoutError, RuntimeError) as e:
            self.stop()
            with open(self.path("log"), errors="replace") as f:
                raise RuntimeError("%s\n%s" % (e, f.read()[-2000:])) from None
        return self

    def _is_up(self):
        for p in self.started:
            if p.poll() is not None:
                raise RuntimeError("%s ended with %d" % (self.name, p.returncode))
        return processes.answers("127.0.0.1", self.port, greets=False)

    def stop(self):
        for p in self.started:
            processes.end(p.pid, 5)
            p.wait()

    def pids(self):
        return [q for p in self.started for q in [p.pid] + processes.descendants(p.pid)]

    def cpu_s(self):
        """Of all its processes and threads so far, by the scheduler's own count."""
        total = 0
        for pid in self.pids():
            try:
                for task in os.listdir("/proc/%d/task" % pid):
                    with open("/proc/%d/task/%s/schedstat" % (pid, task)) as f:
                        total += int(f.read().split()[0])
            except FileNotFoundError:
                pass
        return total / 1e9

    def pss_kib(self):
        total = 0
        for pid in self.pids():
            with open("/proc/%d/smaps_rollup" % pid) as f:
                total += sum(int(line.split()[1]) for line in f if line.startswith("Pss:"))
        return total


class Mailferry(Proxy):
    name = "mailferry"
    nodes, log_level = 1, "warn"

    def launch(self):
        for folder in ("run", "run/nudge"):
            os.makedirs(self.path(folder))
        certificate, key = self.certificate
        port, tls = self.backend_port, "implicit" if self.way.back else "none"
        backend = ('host = "127.0.0.1"\n imap_port = %d\n imap_tls = "%s"\n pop3_port = 0\n pop3_tls = "none"\n'
                   ' tls_name = "localhost"\n tls_ca_file = "%s"\n') % (port, tls, self.bench.ca)
        conf = self.write("mailferry.conf", """
listener "bench" { protocol = "imap"
 address = "127.0.0.1"
 port = %d
 tls = "%s" }
backend "old" { %s }
backend "new" { %s }
tls { certificate = "%s"
 key = "%s"
 allow_cleartext = true }
store { path = "%s" }
run { dir = "%s" }
log { level = "%s" }
users { default_domain = "example.com" }
limits { sessions = 9900
 preauth_sessions = 9900 }
""" % (self.port, "implicit" if self.way.front else "none", backend, backend, certificate, key,
            self.path("store.db"), self.path("run"), self.log_level))
        self.bench.tool("users", self.path("store.db"), self.path("run/nudge"), "fill",
                        str(self.bench.users))
        for i in range(self.nodes):
            self.run(os.path.join(self.bench.build, "mailferry-proxy"), "--config", conf, "--node",
                     "node-%d" % (i + 1))

    def move(self, user):
        return self.bench.tool("users", self.path("store.db"), self.path("run/nudge"), "move", user)


class Nodes(Mailferry):
    """As many nodes as the descriptors of one would not suffice for."""
    nodes, log_level = 3, "info"

    def _is_up(self):
        with open(self.path("log"), errors="replace") as f:
            return super()._is_up() and f.read().count("node is up") == self.nodes


class Haproxy(Proxy):
    name, package = "haproxy", "haproxy"

    def launch(self):
        pem = self.path("front.pem")
        with open(pem, "w") as out:
            for part in self.certificate:
                with open(part) as f:
                    out.write(f.read())
        conf = self.write("haproxy.cfg", """
global
 nbthread 1
 maxconn 9500
 maxpipes 200
 tune.ssl.cachesize 20000
 ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
 mode tcp
 option splice-auto
 timeout connect 10s
 timeout client 1h
 timeout server 1h
frontend front
 bind 127.0.0.1:%d backlog 4096%s
 default_backend back
backend back
 server one 127.0.0.1:%d%s
""" % (self.port, " ssl crt " + pem if self.way.front else "", self.backend_port,
            " ssl verify none" if self.way.back else ""))
        self.run("haproxy", "-db", "-f", conf)


NGINX = """
%s
user root;
worker_processes 1;
worker_rlimit_nofile %d;
daemon off;
pid %s;
error_log %s warn;
events {
 use epoll;
 multi_accept on;
 worker_connections %d;
}
"""


class Nginx(Proxy):
    package = "nginx"
    module = None

    def launch(self):
        head = NGINX % ("load_module /usr/lib/nginx/modules/ngx_%s_module.so;" % self.module, CONNECTIONS,
                        self.path("pid"), self.path("error.log"), CONNECTIONS)
        tls = ""
        if self.way.front:
            tls = ("ssl_certificate %s;\nssl_certificate_key %s;\nssl_protocols TLSv1.2 TLSv1.3;\n"
                   "ssl_session_cache shared:front:20m;\nssl_session_tickets on;\n" % self.certificate)
        self.run("nginx", "-e", self.path("error.log"), "-c", self.write("nginx.conf", head + self.body(tls)))


class NginxMail(Nginx):
    name, module, does = "nginx mail", "mail", ("plain-plain", "TLS-plain")

    def body(self, tls):
        return ("mail {\nserver_name bench;\nauth_http 127.0.0.1:%d/auth;\ntimeout 1h;\n%s"
                "server { listen 127.0.0.1:%d%s backlog=4096; protocol imap; }\n}\n"
                % (self.bench.auth_port, tls, self.port, " ssl" if self.way.front else ""))


class NginxStream(Nginx):
    name, module = "nginx stream", "stream"

    def body(self, tls):
        back = "proxy_ssl on;\nproxy_ssl_session_reuse on;\n" if self.way.back else ""
        return ("stream {\nproxy_timeout 1h;\n%s%sserver { listen 127.0.0.1:%d%s backlog=4096; "
                "proxy_pass 127.0.0.1:%d; }\n}\n"
                % (tls, back, self.port, " ssl" if self.way.front else "", self.backend_port))


class Dovecot(Proxy):
    name, package, slow = "Dovecot", "dovecot-core", True

    def launch(self):
        certificate, key = self.certificate
        conf = self.write("dovecot.conf", """
protocols = imap
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
ssl = {ssl}
ssl_cert = <{certificate}
ssl_key = <{key}
disable_plaintext_auth = no
login_log_format_elements =
login_proxy_max_disconnect_delay = 0
default_vsz_limit = 0
default_client_limit = 60000
passdb {{
 driver = static
 args = proxy=y nopassword=y host=127.0.0.1 port={back} {back_ssl}
}}
service imap-login {{
 service_count = 0
 process_min_avail = 1
 process_limit = 1
 client_limit = 19000
 vsz_limit = 0
 inet_listener imap {{
  address = 127.0.0.1
  port = {plain}
 }}
 inet_listener imaps {{
  address = 127.0.0.1
  port = {tls}
 }}
}}
""".format(folder=self.folder, ssl="yes" if self.way.front or self.way.back else "no", certificate=certificate,
            key=key, back=self.backend_port, back_ssl="ssl=any-cert" if self.way.back else "",
            plain=0 if self.way.front else self.port, tls=self.port if self.way.front else 0))
        self.run("dovecot", "-F", "-c", conf)


PEERS = [Mailferry, Haproxy, NginxMail, NginxStream, Dovecot]
