#!/usr/bin/env bash
# Start a Slurm cluster of one node, this machine, with a pretend GPU, as root on Debian or Ubuntu:
#   start.sh STATE_DIR
# Memory and time limits are enforced. Logs and process ids are in STATE_DIR; stop.sh STATE_DIR ends it.
# It exits with 77 and a sentence where it cannot be started.
set -euo pipefail
cannot() { echo "$1" >&2; exit 77; }

mark="# of tests/slurm/start.sh"
[ "$(id -u)" = 0 ] || cannot "starting Slurm needs root"
for file in /etc/slurm/slurm.conf /etc/slurm/gres.conf; do
    [ ! -e "$file" ] || grep -qxF "$mark" "$file" || cannot "$file is there already, and not of these tests"
done
! scontrol ping 2> /dev/null | grep -q UP || cannot "a Slurm cluster runs here already"
if ! command -v slurmctld slurmd munged sinfo > /dev/null; then
    command -v apt-get > /dev/null || cannot "neither Slurm nor apt-get is there"
    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends slurm-wlm munge; } \
        > /dev/null 2>&1 || cannot "apt-get cannot install slurm-wlm and munge"
fi

dir=$(mkdir -p "$1" && cd "$1" && pwd)
mkdir -p "$dir/state" "$dir/spool"
host=$(hostname -s)
memory=$(awk '/MemTotal/ {print int($2 / 1024 * 0.9)}' /proc/meminfo)
# Slurm gathers what a job uses every second, and kills those that use too much; so no cgroups are needed.
cat > /etc/slurm/slurm.conf << EOF
$mark
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
OverTimeLimit=0
KillWait=5
SchedulerParameters=sched_interval=1,bf_interval=1
ReturnToService=2
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName=$host NodeAddr=127.0.0.1 CPUs=$((2 * $(nproc))) RealMemory=$memory Gres=gpu:1
PartitionName=main Nodes=ALL Default=YES
EOF
printf '%s\n' "$mark" "Name=gpu Count=1 File=/dev/null" > /etc/slurm/gres.conf
if ! munge --no-input > /dev/null 2>&1; then
    install -d -o munge -g munge /run/munge
    runuser -u munge -- munged --pid-file=/run/munge/munged.pid
    cp /run/munge/munged.pid "$dir/munged.pid" # only what was started here is ended by stop.sh
fi
slurmctld
slurmd
for _ in $(seq 100); do
    [ "$(sinfo --noheader --format=%T 2> /dev/null)" = idle ] && exit 0
    sleep 0.2
done
echo "Slurm did not come up; see $dir/*.log" >&2
exit 1
