#!/usr/bin/env bash
# Stop what start.sh started, by process id, with all its jobs:   stop.sh STATE_DIR
scancel --full --signal=KILL --user="$(id -un)" 2> /dev/null
for pid_file in "$1"/{slurmd,slurmctld,munged}.pid; do
    [ -s "$pid_file" ] && kill "$(cat "$pid_file")"
done
grep -lxF "# of tests/slurm/start.sh" /etc/slurm/{slurm,gres}.conf 2> /dev/null | xargs --no-run-if-empty rm
