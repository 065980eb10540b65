#!/bin/bash
# What the emulated Pi proves about itself, told line by line on its serial console. Started by proof.service as root,
# at the first boot and once more after a reboot; power goes off at the end.
set -Eeuo pipefail
exec > /dev/ttyAMA0 2>&1

SERVICE=edge@pumps
HEALTH='plant/+/health'

ok() { echo "PROOF ok $*"; }
failed() {
  {
    systemctl status --no-pager --full "$SERVICE" || true
    journalctl --no-pager -n 60 -u "$SERVICE" || true
    echo "PROOF failed $*"
  } > /dev/ttyAMA0 2>&1
  poweroff -f
  exit 1
}
trap 'failed "line $LINENO: $BASH_COMMAND"' ERR

property() { systemctl show --property "$1" --value "$SERVICE"; }
seq_now() { timeout 900 mosquitto_sub -C 1 -t "$HEALTH" | sed 's/.*"seq":\([0-9]*\).*/\1/'; }

# The plant: one reading after the other, from now on.
plant() {
  while true; do
    while read -r line; do
      mosquitto_pub -t plant/pump-011/telemetry -m "$line" || true
      sleep 0.3
    done < /opt/proof/readings.jsonl
  done
}

walk_the_readme() {
  useradd --home-dir /home/pi --shell /bin/bash pi
  echo 'pi ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/pi
  chown -R pi /home/pi
  local n
  n=$(cat /opt/proof/before)
  while IFS= read -r command; do
    n=$((n + 1))
    echo "PROOF runs $command"
    SECONDS=0
    sudo -u pi -H bash -c "cd && $command" < /dev/null
    ok "README $n: $command ($SECONDS s of the guest)"
  done < /opt/proof/readme.sh
}

look_at_the_service() {
  systemctl is-active --quiet "$SERVICE"
  systemctl is-enabled --quiet "$SERVICE"
  sudo -u pi /opt/edge/bin/edge status
  ok "ready, enabled, and edge status answers a plain user"
}

try_the_sandbox() {
  local pid uid
  pid=$(property MainPID)
  uid=$(stat -c %u "/proc/$pid")
  [ "$uid" -ne 0 ]
  inside() { nsenter --target "$pid" --mount setpriv --reuid "$uid" --regid "$uid" --clear-groups "$@"; }
  inside touch "/var/lib/edge/pumps/probe" && inside rm "/var/lib/edge/pumps/probe"
  for place in /etc /usr /opt/edge /var/lib /var/log /boot /root; do
    ! nsenter --target "$pid" --mount touch "$place/probe" 2> /dev/null || failed "root in the sandbox writes to $place"
    ! inside touch "$place/probe" 2> /dev/null || failed "the service writes to $place"
  done
  ok "writes to its state folder, and not to the system even as root"
  [ -e /home/pi/pump.edge ]
  ! inside ls /home/pi 2> /dev/null || failed "the service sees /home/pi"
  ok "does not see /home"
  grep -q '^NoNewPrivs:[[:space:]]*1$' "/proc/$pid/status"
  grep -q '^CapEff:[[:space:]]*0000000000000000$' "/proc/$pid/status"
  grep -q '^CapBnd:[[:space:]]*0000000000000000$' "/proc/$pid/status"
  grep -q '^Seccomp:[[:space:]]*2$' "/proc/$pid/status"
  ok "no new privileges, no capabilities, system calls filtered, user $uid"
}

restart_it() {
  local before after
  # The same watchdog with less patience: the proof need not wait a minute.
  mkdir -p "/etc/systemd/system/$SERVICE.service.d"
  printf '[Service]\nWatchdogSec=20\nTimeoutAbortSec=3\nRestartSec=1\n' > "/etc/systemd/system/$SERVICE.service.d/proof.conf"
  systemctl daemon-reload
  # Far enough that a machine whose state was lost could not be mistaken for one that goes on.
  until before=$(seq_now) && [ "$before" -ge 15 ]; do sleep 1; done
  systemctl restart "$SERVICE"
  after=$(seq_now)
  [ "$after" -gt "$before" ]
  ok "states survive a restart: prediction $before before, $after after"
}

hang_it() {
  local before after pid
  before=$(seq_now)
  pid=$(property MainPID)
  kill -STOP "$pid"
  until [ "$(property NRestarts)" -ge 1 ]; do sleep 1; done
  after=$(seq_now)
  [ "$(property MainPID)" -ne "$pid" ]
  [ "$after" -gt "$before" ]
  journalctl --no-pager -u "$SERVICE" > /run/journal
  grep -q "Watchdog timeout" /run/journal
  rm -r "/etc/systemd/system/$SERVICE.service.d"
  systemctl daemon-reload
  ok "a hung step is restarted by the watchdog: prediction $before before, $after after"
}

after_the_reboot() {
  local before after
  before=$(cat /opt/proof/seq)
  systemctl is-active --quiet mosquitto
  after=$(seq_now)
  [ "$after" -gt "$before" ]
  ok "up again after a reboot, states too: prediction $before before, $after after"
}

uninstall_it() {
  sudo -u pi sudo /opt/edge/bin/edge uninstall pumps < /dev/null
  if systemctl is-active --quiet "$SERVICE"; then failed "$SERVICE still runs"; fi
  [ ! -e /etc/edge/pumps.toml ]
  ok "uninstalled"
}

ok "systemd is up after $(cut -d' ' -f1 /proc/uptime) s of the guest"
timeout 900 bash -c 'until mosquitto_pub -t proof -m up 2> /dev/null; do sleep 1; done'
plant &
if [ ! -e /opt/proof/seq ]; then
  walk_the_readme
  look_at_the_service
  try_the_sandbox
  restart_it
  hang_it
  seq_now > /opt/proof/seq
  sync
  systemctl reboot
  exit
fi
after_the_reboot
uninstall_it
echo "PROOF done"
poweroff -f
