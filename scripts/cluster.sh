#!/usr/bin/env bash
# A real Kubernetes of one node, for tests: control plane, kubelet, containerd and a registry (127.0.0.1:5000) in namespaces
# and cgroups of their own. Root. The machine keeps its settings, devices, network and folders; `down` looks whether it has.
#
#   scripts/cluster.sh up               start it, and wait until the node is Ready
#   scripts/cluster.sh in COMMAND...    run a command in there: KUBECONFIG is set, bin/ is on the PATH
#   scripts/cluster.sh restart PART     end a part with SIGKILL and start it again (kubelet, containerd, apiserver, ...); also in there
#   scripts/cluster.sh down             end and remove all of it; fails if the machine is not what it was before `up`
#   scripts/cluster.sh run COMMAND...   the three after one another; ended by SIGKILL it takes the cluster along
#
# Everything is in the folder CUDABUILD_CLUSTER_DIR, by default `cluster` in CUDABUILD_STATE_DIR, and is called /run/cluster
# in there. Clusters in other folders are not disturbed. What a command in there writes to /run, /var/lib and /var/log is
# gone with the cluster; there is no network but its own.
set -euo pipefail
self=$(readlink -f "${BASH_SOURCE[0]}")
config=${self%.sh} repo=${self%/scripts/*} home=/run/cluster
dir=${CUDABUILD_CLUSTER_DIR:-${CUDABUILD_STATE_DIR:-/var/lib/cudabuild}/cluster}
export PATH=$repo/bin:$PATH:/usr/sbin:/sbin

say() { echo "cudabuild: cluster: $*" >&2; }

# --- Outside ---------------------------------------------------------------------------------------------------------

# Where cgroups are: every hierarchy of version 1, and that of version 2, which may be the only one.
hierarchies() { awk '$3 ~ /^cgroup2?$/ {print $2}' /proc/self/mounts; }

# Our cgroup, by the folder: nothing else is in it, so everything in it may be ended.
group=cudabuild-cluster-$(realpath -m "$dir" | sha256sum | cut -c1-12)

pids() { local at; for at in $(hierarchies); do find "$at/$group" -name cgroup.procs -exec cat {} + 2>/dev/null || true; done | sort -un; }

# Moves this shell into the cgroup of the cluster. Version 2 has processes in leaves alone.
join() {
  local at
  for at in $(hierarchies); do
    if [ -d "$at/$group/init" ]; then echo $BASHPID >"$at/$group/init/cgroup.procs"; else echo $BASHPID >"$at/$group/cgroup.procs"; fi
  done
}

words() { tr ' ' '\n' <"$1" | sort; }

make_groups() {
  local at own file
  for at in $(hierarchies); do
    own=$at/$group
    mkdir "$own"
    if [ -e "$own/cgroup.controllers" ]; then
      # What is not given to the groups of the machine yet; `end` takes it away again.
      comm -23 <(words "$at/cgroup.controllers") <(words "$at/cgroup.subtree_control") >"$dir/controllers"
      sed 's/^/+/' "$dir/controllers" | paste -sd' ' >"$at/cgroup.subtree_control"
    else
      # Without these a cpuset takes no process.
      for file in cpuset.cpus cpuset.mems; do [ ! -e "$own/$file" ] || cat "$at/$file" >"$own/$file"; done
    fi
  done
}

# What a cluster could change of the machine, one fact a line.
machine() (
  set +eo pipefail # what is not there is no fact
  sysctl -a --pattern '^(kernel|vm|net)\.' 2>/dev/null | grep -vE '^(kernel\.(random|ns_last_pid|pty\.nr|perf_event_max_sample_rate)|net\.netfilter\.nf_conntrack_count)'
  iptables-save 2>/dev/null | grep -v '^#'
  find /dev -xdev -printf '%p %M %U:%G inode %i %l\n' | sort
  find /run /etc/cni /etc/cdi /opt /var/lib /var/log -xdev -maxdepth 1 -printf '%p %M %U:%G inode %i %l\n' 2>/dev/null | sort
  grep -H . $(hierarchies | sed 's,$,/cgroup.subtree_control,') 2>/dev/null
  find $(hierarchies) -mindepth 1 -maxdepth 1 -type d -not -name 'cudabuild-*' | sort # builds beside it come and go
  grep -v " ${TMPDIR:-/tmp}/" /proc/self/mounts | sed 's/^/mount /' | sort # what is in temporary folders is of others
  sed 's/ .*//; s/^/module /' /proc/modules 2>/dev/null | sort
  find /sys/class/net /sys/fs/bpf -maxdepth 1 2>/dev/null | sort
)

# The status is said: in a trap `return` alone gives that of before the trap.
remove_groups() {
  local at
  for at in $(hierarchies); do [ ! -d "$at/$group" ] || find "$at/$group" -depth -type d -exec rmdir {} + || return 1; done
}

# Ends every process of the cluster and removes its cgroups, which stay busy until what was killed is gone for good.
end() {
  local at left gone=1
  for _ in {1..200}; do
    left=$(pids)
    [ -z "$left" ] || kill -9 $left 2>/dev/null || true
    ! remove_groups 2>/dev/null || { gone=0; break; }
    sleep 0.05
  done
  [ $gone = 0 ] || remove_groups || say "error: its cgroups are busy"
  for at in $(hierarchies); do
    [ ! -e "$at/cgroup.subtree_control" ] || [ ! -s "$dir/controllers" ] || sed 's/^/-/' "$dir/controllers" | paste -sd' ' >"$at/cgroup.subtree_control"
  done
  return $gone
}

down() {
  [ -e "$dir/machine" ] || { say "$dir is no cluster"; return 0; }
  local changed=0
  end || changed=1
  diff "$dir/machine" <(machine) >&2 || changed=$?
  rm -rf --one-file-system "$dir"
  [ $changed = 0 ] || { say "error: this machine is not what it was before (above: < before, > now)"; exit 1; }
}

tie=()

up() {
  [ -z "$(pids)" ] || [ ! -e "$dir/ready" ] || { say "error: $dir is up already: scripts/cluster.sh down"; exit 1; }
  [ ! -e "$dir/machine" ] || down
  mkdir -p "${dir%/*}"
  mkdir "$dir" "$dir"/{log,pid,etcd,kubelet,containerd,registry,sysctl,cni}
  machine >"$dir/machine"
  make_groups
  # The cgroup that it is in when it unshares is the root of what is seen in there.
  (
    join
    exec "${tie[@]}" setsid unshare --cgroup "$self" leaf
  ) >"$dir/log/cluster" 2>&1 </dev/null &
  local pid=$!
  disown
  echo $pid >"$dir/unshare"
  until [ -e "$dir/ready" ]; do
    kill -0 $pid 2>/dev/null || { tail -n 20 "$dir"/log/*; say "error: it did not start: $(tail -n 1 "$dir/log/cluster")"; down; exit 1; } >&2
    sleep 0.1
  done
}

run() {
  tie=(setpriv --pdeathsig KILL)
  trap 'code=$?; down || code=1; exit $code' EXIT
  up
  "$self" in "$@"
}

# The first process in there, if there is one.
init() {
  local pid
  pid=$(cat "$dir/unshare" 2>/dev/null) && grep -q "/$group" "/proc/$pid/cgroup" 2>/dev/null && cat "/proc/$pid/task/$pid/children"
}

enter() {
  local pid
  pid=$(init) && [ -n "$pid" ] && [ -e "$dir/ready" ] || { say "error: there is no cluster in $dir: scripts/cluster.sh up"; exit 3; }
  join
  exec nsenter --target ${pid%% *} --cgroup --net --mount --pid --ipc --uts -- env -C "$PWD" KUBECONFIG=$home/admin.conf "$@"
}

# Still outside but for the view of cgroups. Ended by SIGKILL, it takes the first process in there along, and so all.
leaf() {
  local at
  for at in $(hierarchies); do
    [ ! -e "$at/$group/cgroup.subtree_control" ] || { mkdir "$at/$group/init"; echo $BASHPID >"$at/$group/init/cgroup.procs"; }
  done
  cd "$dir"
  exec unshare --net --mount --pid --ipc --uts --fork --kill-child --mount-proc "$self" inside
}

# --- Inside ----------------------------------------------------------------------------------------------------------

# A bridge with an address stands for the network card of a node.
network() {
  hostname node1
  ip link set lo up
  ip link add node0 type bridge
  ip address add 10.77.0.1/24 dev node0
  ip link add card type veth peer name cable
  ip link set card master node0 up
  ip link set cable up
  ip link set node0 up
  ip route add default dev node0
}

# Folders that parts write to by their fixed names are private.
folders() {
  mount -n -t tmpfs -o mode=755 tmpfs /run # -n: it would make /run/mount of the machine
  mkdir -p $home /run/lib/{upper,work}
  mount --no-canonicalize --bind . $home
  cd /
  mount -t overlay -o lowerdir=/var/lib,upperdir=/run/lib/upper,workdir=/run/lib/work overlay /var/lib
  mount -t tmpfs -o mode=755 tmpfs /var/log
  mkdir -p /var/lib/kubelet
  mount --bind $home/kubelet /var/lib/kubelet
  mount --make-shared /var/lib/kubelet
}

# The kubelet sets these for the whole machine, and does not start if it cannot: files lie over them.
settings() {
  local name
  for name in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do
    cat /proc/sys/$name >"$home/sysctl/${name//\//.}"
    mount --bind "$home/sysctl/${name//\//.}" /proc/sys/$name
  done
}

# Every hierarchy again, as its part that begins with our cgroup.
cgroups() {
  local known at type options
  known=$(awk -F: '{gsub(",", "|", $2); if ($2) print $2}' /proc/self/cgroup | paste -sd'|')
  while read -r _ at type options _; do
    umount "$at"
    if [ "$type" = cgroup2 ]; then
      mount -t cgroup2 cgroup2 "$at"
      sed 's/[^ ]\+/+&/g' "$at/cgroup.controllers" >"$at/cgroup.subtree_control"
    else
      mount -t cgroup -o "$(tr , '\n' <<<"$options" | grep -xE "$known" | paste -sd,)" cgroup "$at"
    fi
  done < <(grep -E '^[^ ]+ [^ ]+ cgroup2? ' /proc/self/mounts)
}

# A user is known by a token, which is its name.
users() {
  cat >$home/tokens.csv <<'CSV'
admin,admin,admin,system:masters
manager,system:kube-controller-manager,manager,system:masters
scheduler,system:kube-scheduler,scheduler,system:masters
kubelet,system:node:node1,kubelet,system:nodes
nobody,nobody,nobody
CSV
  local user
  for user in admin manager scheduler kubelet nobody; do
    cat >$home/$user.conf <<YAML
apiVersion: v1
kind: Config
clusters: [{name: cluster, cluster: {server: "https://127.0.0.1:6443", insecure-skip-tls-verify: true}}]
users: [{name: $user, user: {token: $user}}]
contexts: [{name: cluster, context: {cluster: cluster, user: $user}}]
current-context: cluster
YAML
  done
  openssl genrsa -out $home/accounts.key 2048 2>/dev/null
}

ask() { curl -sfk -o "${2:-/dev/null}" -H 'Authorization: Bearer admin' "https://127.0.0.1:6443$1"; }

# start PART: in the background, its output to log/PART, its process id to pid/PART.
start() {
  local command
  case $1 in
    etcd) command=(kubernetes etcd --data-dir $home/etcd --unsafe-no-fsync --log-level warn) ;;
    apiserver) command=(kubernetes apiserver --etcd-servers http://127.0.0.1:2379 --bind-address 127.0.0.1 --secure-port 6443
      --cert-dir $home/certificates --token-auth-file $home/tokens.csv --authorization-mode Node,RBAC --endpoint-reconciler-type none
      --service-account-issuer https://kubernetes.default.svc --service-cluster-ip-range 10.78.0.0/24 --allow-privileged
      --service-account-key-file $home/accounts.key --service-account-signing-key-file $home/accounts.key
      --kubelet-preferred-address-types InternalIP) ;;
    controller-manager) command=(kubernetes controller-manager --kubeconfig $home/manager.conf --leader-elect=false --bind-address 127.0.0.1
      --cert-dir $home/certificates --service-account-private-key-file $home/accounts.key) ;;
    scheduler) command=(kubernetes scheduler --kubeconfig $home/scheduler.conf --leader-elect=false --bind-address 127.0.0.1 --cert-dir $home/certificates) ;;
    kubelet) command=(kubernetes kubelet --config "$config/kubelet.yaml" --kubeconfig $home/kubelet.conf --node-ip 10.77.0.1
      --hostname-override node1 --cert-dir $home/certificates) ;;
    containerd) command=(containerd --config "$config/containerd.toml") ;;
    registry) command=(registry serve "$config/registry.yml") ;;
    *) say "error: there is no part $1"; exit 2 ;;
  esac
  "${command[@]}" >>"$home/log/$1" 2>&1 </dev/null &
  echo $! >"$home/pid/$1"
}

# until_ COMMAND...: waits for its success, or for the end of any part.
until_() {
  local pid
  until "$@" 2>/dev/null; do
    sleep 0.1
    for pid in $home/pid/*; do kill -0 "$(cat "$pid")" || { say "error: ${pid##*/} has ended"; exit 1; }; done
  done
}

pause_image() {
  tar -C "$repo/bin" -c pause | crane append --insecure --oci-empty-base -f - -t 127.0.0.1:5000/pause:1
  crane mutate --insecure --entrypoint /pause -t 127.0.0.1:5000/pause:1 127.0.0.1:5000/pause:1
} >/dev/null

ready() {
  ask /api/v1/nodes/node1 $home/node1 && jq -e '.status.conditions | any(.type == "Ready" and .status == "True")' $home/node1 >/dev/null &&
    ask /api/v1/namespaces/default/serviceaccounts/default
}

inside() {
  folders
  network
  settings
  cgroups
  users
  cp "$config/pods.conflist" $home/cni/
  local part
  for part in etcd apiserver registry containerd; do start $part; done
  until_ curl -sf http://127.0.0.1:5000/v2/ -o /dev/null
  pause_image
  until_ ask /readyz
  start controller-manager
  start scheduler
  until_ ctr --address /run/containerd/containerd.sock version >/dev/null
  start kubelet
  until_ ready
  touch $home/ready
  # It stays, reaps what loses its parent, and is ended by SIGKILL alone.
  sleep infinity &
  wait $!
}

restart() {
  [ -e $home/ready ] || enter "$self" restart "$1"
  local pid
  pid=$(cat "$home/pid/$1")
  kill -9 "$pid"
  until gone "$pid"; do sleep 0.05; done # its address is in use until then
  start "$1"
  sleep 1
  kill -0 "$(cat "$home/pid/$1")" || { say "error: $1 has ended again: $(tail -n 1 "$home/log/$1")"; exit 1; }
}

# gone PID: nothing of a killed process runs any more. The first of its threads is a zombie before the others have ended, and
# with them its sockets.
gone() {
  [ ! -e "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status" && [ "$(find "/proc/$1/task" -mindepth 1 -maxdepth 1 2>/dev/null | wc -l)" -le 1 ]
}

case ${1-} in
  up | down) "$1" ;;
  in) shift; enter "$@" ;;
  run) shift; run "$@" ;;
  restart) restart "${2-}" ;;
  leaf | inside) "$1" ;; # of up, not for people
  machine) machine ;;
  *) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$self" >&2; exit 2 ;;
esac
