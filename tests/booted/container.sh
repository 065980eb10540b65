#!/usr/bin/env bash
# tests/booted/service.py in a Debian container that systemd boots: as root, with mmdebstrap and systemd-container.
#
#     tests/booted/container.sh [FOLDER]     # the container's root is kept in FOLDER and used again
set -euo pipefail
cd "$(dirname "$0")/../.."
work=${1:-$(mktemp -d)}
python=.venv/bin/python
machine="edge-booted-$$"

mkdir -p "$work/wheels"
if [ ! -x "$work/root/opt/edge/bin/python" ]; then
  mmdebstrap --quiet --variant=apt --include=systemd,systemd-sysv,dbus,libnss-systemd,python3,python3-venv,libgomp1,mosquitto,openssl,util-linux \
    bookworm "$work/root"
  chroot "$work/root" python3 -m venv /opt/edge
fi
rm -f "$work"/wheels/edgestep-*
$python -m pip wheel --quiet --no-deps --wheel-dir "$work/wheels" .
$python -m pip download --quiet --only-binary=:all: --python-version 3.11 --dest "$work/wheels" --constraint constraints.txt \
  click paho-mqtt orjson ai-edge-litert
rm -rf "$work/root/wheels" && cp -r "$work/wheels" "$work/root/wheels"
env -u PIP_FIND_LINKS chroot "$work/root" /opt/edge/bin/pip install --quiet --no-index --find-links /wheels --force-reinstall 'edgestep[litert]'
PYTHONPATH=. $python -W ignore - "$work" <<'MAKE'
import sys
from pathlib import Path
from tests.support import tiny
from tests.support.bundles import Workshop
work = Path(sys.argv[1])
(work / "export").mkdir(exist_ok=True)
Workshop(*tiny.export(work / "export")).pack(work / "root/opt/tiny.edge")
MAKE
cp tests/booted/service.py "$work/root/opt/"

systemd-nspawn --quiet --directory="$work/root" --boot --private-network --machine="$machine" --register=no --keep-unit \
  < /dev/null > "$work/boot.log" 2>&1 &
nspawn=$!
trap 'kill "$nspawn" 2> /dev/null; wait "$nspawn" || true' EXIT
init=
for _ in $(seq 60); do
  init=$(pgrep --parent "$nspawn" | head -n 1 || true)
  if [ -n "$init" ] && nsenter --target "$init" --all systemctl is-active --quiet multi-user.target 2> /dev/null; then
    break
  fi
  sleep 1
done
nsenter --target "$init" --all env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
  /opt/edge/bin/python /opt/service.py /opt/tiny.edge
