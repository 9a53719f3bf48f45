#!/bin/sh
# A throw-away CA and one certificate per NAME, for the demo and the tests. Never for real mail.
#   certs/devca.sh DIR NAME...
# leaves ca.pem, ca.key, NAME.pem and NAME.key in DIR (ECDSA P-256; names NAME and localhost, 127.0.0.1, ::1).
# What is there and still good is kept, so running it again changes nothing.
set -eu
umask 077

DAYS=30

if [ $# -lt 2 ]; then
	echo "usage: $0 DIR NAME..." >&2
	exit 2
fi
dir=$1
shift
mkdir -p "$dir"
work=$(mktemp -d "$dir/.devca.XXXXXX")
trap 'rm -rf "$work"' EXIT

# A configuration of our own: the system's would add extensions that differ from host to host.
cat >"$work/req.cnf" <<END
[req]
distinguished_name = none
prompt = no
[none]
[ca]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = \${ENV::DEVCA_SAN}
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
END
DEVCA_SAN=unused
export DEVCA_SAN

# make FILE SUBJECT EXTENSIONS [more options of openssl req]
make() {
	file=$1 subject=$2 extensions=$3
	shift 3
	openssl req -x509 -batch -config "$work/req.cnf" -newkey ec -pkeyopt ec_paramgen_curve:P-256 \
		-nodes -sha256 -days "$DAYS" -subj "/CN=$subject" -extensions "$extensions" \
		-keyout "$work/new.key" -out "$work/new.pem" "$@" >"$work/log" 2>&1 || {
		cat "$work/log" >&2
		exit 1
	}
	chmod 644 "$work/new.pem"
	mv "$work/new.key" "$dir/$file.key"
	mv "$work/new.pem" "$dir/$file.pem"
}

good_for_a_day() {
	[ -s "$dir/$1.key" ] && [ -s "$dir/$1.pem" ] &&
		openssl x509 -in "$dir/$1.pem" -noout -checkend 86400 >/dev/null 2>&1 &&
		openssl verify -CAfile "$dir/ca.pem" "$dir/$1.pem" >/dev/null 2>&1
}

good_for_a_day ca || make ca "mailferry throw-away CA" ca
for name; do
	case $name in
	ca | -* | .* | *[!A-Za-z0-9._-]*)
		echo "$0: \"$name\" is no host name" >&2
		exit 2
		;;
	esac
	good_for_a_day "$name" && continue
	DEVCA_SAN="DNS:$name,DNS:localhost,IP:127.0.0.1,IP:::1"
	make "$name" "$name" server -CA "$dir/ca.pem" -CAkey "$dir/ca.key"
done
