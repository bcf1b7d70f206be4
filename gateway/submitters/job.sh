#!/bin/bash
# One run of one attempt: claim it, run its command, write down how it ended.
# usage: job.sh CONTROL_DIR INDEX NATIVE_ID RESTART [words for whoever reads the process table]
#
# Environment:
#   GATEWAY_WALLTIME_S   end the command after so many seconds: where no scheduler does it
#   GATEWAY_RETRY_S      first pause between two tries to write claim or exit record; default 3
#   GATEWAY_NODE         the scheduler's name of this node; default: the host name
#
# Files below CONTROL_DIR, INDEX being the task's place in its submission:
#   tasks/INDEX.sh              what to run (read)
#   stop/INDEX                  present: do not start (read)
#   claims/INDEX.RESTART        who runs it (written once, by link)
#   logs/INDEX.RESTART.out|err  output of the command
#   exits/INDEX.RESTART.json    how it ended (written last, complete or absent)
set -u
users_umask=$(umask)
umask 077
export LC_ALL=C
export PATH=$PATH:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin
control=$1 index=$2 native=$3 restart=$4
node=${GATEWAY_NODE:-}
[ -n "$node" ] || IFS= read -r node </proc/sys/kernel/hostname || node=$(uname -n)
name=$index.$restart
out=$control/logs/$name.out err=$control/logs/$name.err

readonly EX_NO_RECORD=73 EX_NO_CLAIM=75 EX_DUPLICATE=79
readonly KILL_AFTER_S=10 SIGNAL_GAP_S=1
walltime_s=${GATEWAY_WALLTIME_S:-}
retry_s=${GATEWAY_RETRY_S:-3}
unset GATEWAY_WALLTIME_S GATEWAY_RETRY_S GATEWAY_NODE

# Every process that is not started counts when jobs are short: the shell's own words come first here.

# Sets now: seconds since the epoch.
set_now() { now=${EPOCHREALTIME:-$(date +%s.%N)}; }

# Sleeps for so many times the first pause.
pause() { sleep "$(awk -v s="$retry_s" -v n="$1" 'BEGIN { print s * n }')"; }

# Text as the inside of a JSON string: control characters become spaces.
json_text() { tr '\000-\037\177' ' ' | sed 's/\\/\\\\/g; s/"/\\"/g'; }

# Another host or container of a local cluster must be able to tell this process from another one of
# its number.
if [ "$native" = local ]; then
    IFS= read -r stat <"/proc/$$/stat"
    read -ra stat <<<"${stat##*) }"
    started_ticks=${stat[19]}
    read -r boot </proc/sys/kernel/random/boot_id
    space=$(readlink /proc/self/ns/pid)
    native="$node:$$:$started_ticks:$boot/${space//[!0-9]/}"
fi

# shellcheck source=/dev/null
. "$control/tasks/$index.sh" || exit $EX_NO_CLAIM

# A clean end is final: a scheduler that starts the job again must not run the command again.
for record in "$control/exits/$index".*.json; do
    [ -e "$record" ] && grep -qE '"warned": "(USR2)?"' "$record" && exit $EX_DUPLICATE
done

# Signals go on to the whole process group of the command. The first that asks for an end is its
# reason: USR1 does not. USR2 is our own early warning of the walltime: it is noted and not passed
# on, because a program that does not expect it would die.
set_now
started=$now
warned=
child=
unsent=
interrupted=
# shellcheck disable=SC2317
pass_on() {
    interrupted=1
    case $warned in '' | USR2) warned=${2:-$warned} ;; esac
    if [ -n "$child" ]; then kill -s "$1" -- "-$child" 2>/dev/null; else unsent=$1; fi
}
for signal in TERM INT HUP QUIT XCPU; do
    # shellcheck disable=SC2064
    trap "pass_on $signal $signal" "$signal"
done
trap 'pass_on USR1 ""' USR1
trap 'pass_on TERM WALLTIME' ALRM
trap 'interrupted=1; warned=${warned:-USR2}' USR2
told_to_end() { case $warned in '' | USR2) false ;; esac; }

# link(2) is atomic on NFS, but its answer can be lost and the repeated call then fails: the owner
# is whoever the name holds, whatever ln said.
claim=$control/claims/$name
mine=$control/claims/.$name.$node.$$
printf -v words '{"key": "%s", "restart": %s, "native_id": "%s", "node": "%s", "claimed_at": %s, "pid": %s}' \
    "$GATEWAY_KEY" "$restart" "$native" "$node" "$started" "$$"
tries=0
until printf '%s\n' "$words" >"$mine"; do
    tries=$((tries + 1))
    [ $tries -ge 4 ] && exit $EX_NO_CLAIM
    pause $tries
done
ln "$mine" "$claim" 2>/dev/null
held=
[ -e "$claim" ] && IFS= read -r held <"$claim"
scratch=
trap 'rm -rf "$mine" ${scratch:+"$scratch"}' EXIT
[ "$held" = "$words" ] || { [ -e "$claim" ] && exit $EX_DUPLICATE; exit $EX_NO_CLAIM; }

# Sets group: the job's own memory counters, where the scheduler gives it a control group of its own.
group=
set_group() {
    local line own
    while IFS= read -r line; do
        own=${line#*:*:}
        case $own in *slurm* | *job_* | *condor*) ;; *) continue ;; esac
        case $line in
            0::*) for base in /sys/fs/cgroup /sys/fs/cgroup/unified; do
                [ -r "$base$own/memory.events" ] && group=$base$own && return
            done ;;
            *:memory:*) [ -r "/sys/fs/cgroup/memory$own/memory.oom_control" ] &&
                group=/sys/fs/cgroup/memory$own && return ;;
        esac
    done </proc/self/cgroup
}
oom_kills() {
    cat "$group/memory.events" "$group/memory.oom_control" 2>/dev/null |
        awk '$1 == "oom_kill" { n = $2 } END { print (n == "" ? "null" : n) }'
}
peak_mib() {
    cat "$group/memory.peak" "$group/memory.max_usage_in_bytes" 2>/dev/null |
        awk '{ n = int($1 / 1048576) } END { print (n == "" ? "null" : n) }'
}
set_group

# Sets cpu_s: processor seconds of all children that were waited for, without starting a process.
cpu_s=null
milliseconds() { local s=${1#*m}; s=${s%s}; ms=$((10#${1%%m*} * 60000 + 10#${s%.*} * 1000 + 10#${s#*.})); }
set_cpu_s() {
    local user='' system='' ms=0 used
    times >"$scratch/times" 2>/dev/null || return
    { read -r _ && read -r user system; } <"$scratch/times"
    [[ $user$system =~ ^[0-9]+m[0-9]+\.[0-9]{3}s[0-9]+m[0-9]+\.[0-9]{3}s$ ]] || return
    milliseconds "$user" && used=$ms && milliseconds "$system"
    printf -v cpu_s '%d.%03d' $(((used + ms) / 1000)) $(((used + ms) % 1000))
}

# Writes the record for exit code $1; $2 is what the container runtime said, if it failed.
write_record() {
    local code=$1 text=$2 tries=0 signal=null peak=null kills=null now
    [ -z "$text" ] || text=$(printf %s "$text" | json_text)
    [ -z "$group" ] || { peak=$(peak_mib) kills=$(oom_kills); }
    [ "$code" -gt 128 ] && [ "$code" -le 192 ] && signal=$((code - 128))
    local record=$control/exits/$name.json part=$control/exits/.$name.part files=()
    for file in "$out" "$err"; do [ -e "$file" ] && files+=("$file"); done
    set_now
    until printf '{"key": "%s", "restart": %s, "native_id": "%s", "node": "%s", "exit_code": %s, "signal": %s, "started_at": %s, "finished_at": %s, "peak_memory_mib": %s, "oom_kills": %s, "cpu_s": %s, "warned": "%s", "runtime_error": "%s"}\n' \
        "$GATEWAY_KEY" "$restart" "$native" "$node" "$code" "$signal" "$started" "$now" \
        "$peak" "$kills" "$cpu_s" "$warned" "$text" >"$part" 2>/dev/null &&
        sync "$part" ${files[@]+"${files[@]}"} && mv -f "$part" "$record"; do
        tries=$((tries + 1))
        [ $tries -ge 24 ] && exit $EX_NO_RECORD
        # A quarter of an hour in all, by default: the command has run, and is not run again.
        pause $((tries < 5 ? 1 << (tries - 1) : 16))
    done
    sync "$control/exits"
}

[ -e "$control/stop/$index" ] && warned=stop
if told_to_end; then
    write_record 143 ""
    exit 143
fi

scratch_root=${_CONDOR_SCRATCH_DIR:-${SLURM_TMPDIR:-${TMPDIR:-/tmp}}}
if ! { scratch=$(mktemp -d "$scratch_root/gateway-XXXXXXXX") && mkdir "$scratch/home" "$scratch/tmp"; }; then
    write_record 126 "no scratch directory below $scratch_root on $node"
    exit 126
fi
if ! : >"$out" || ! : >"$err"; then
    write_record 126 "cannot write $control/logs on $node"
    exit 126
fi

GATEWAY_SCRATCH=$scratch
GATEWAY_CONTAINER=apptainer
for program in singularity apptainer; do
    hash "$program" 2>/dev/null && GATEWAY_CONTAINER=${BASH_CMDS[$program]}
done
case $GATEWAY_CONTAINER in */singularity) container_prefix=SINGULARITY ;; *) container_prefix=APPTAINER ;; esac
export GATEWAY_SCRATCH GATEWAY_CONTAINER container_prefix

# Job control gives the command a process group of its own. It is on only for the start: under it,
# `wait` would take a command that was stopped (suspended by the scheduler) for one that ended.
# A `wait` that a signal interrupts can lose its child's status or return another one. A shell that
# runs a command in its foreground cannot: one such shell leads the group and outlives its signals.
# It has no part in the logs, because bash says there what its children died of.
status=$scratch/status
set -m
{
    trap : TERM INT HUP QUIT XCPU USR1 USR2 ALRM
    (umask "$users_umask" && gateway_run) >"$out" 2>"$err"
    code=$?
    echo "$code" >"$status"
    exit "$code"
} </dev/null &
child=$!
timer=
if [ -n "$walltime_s" ]; then
    { sleep "$walltime_s" && kill -s ALRM $$ && sleep $KILL_AFTER_S && kill -s KILL -- "-$child"; } \
        </dev/null >/dev/null 2>&1 &
    timer=$!
fi
set +m
[ -n "$unsent" ] && kill -s "$unsent" -- "-$child" 2>/dev/null
code=
while :; do
    interrupted=
    wait "$child" 2>/dev/null
    waited=$?
    alive=
    kill -s 0 "$child" 2>/dev/null && alive=1
    [ -s "$status" ] && IFS= read -r code <"$status" && break
    [ -n "$alive" ] && continue
    # It was killed, or had no room for the status: what an undisturbed first wait says is right.
    # After a disturbed one, bash says 127 or -1.
    [ -n "$interrupted" ] || case $waited in 127 | -1) ;; *) code=$waited ;; esac
    break
done
# Nothing of the command outlives it.
kill -s KILL -- "-$child" ${timer:+"-$timer"} 2>/dev/null
child=
if [ -z "$code" ]; then
    told_to_end || exit $EX_NO_RECORD
    code=137
fi
# A scheduler signals one process after the other: ours may come after that of the command.
[ "$code" -eq 0 ] || told_to_end || sleep $SIGNAL_GAP_S
# A signal that comes now is too late to be a reason.
trap '' TERM INT HUP QUIT USR1 USR2 XCPU ALRM
set_cpu_s

# What the shell or the container runtime says when the command itself was never reached.
runtime_error=
case $code in 126 | 127 | 255)
    runtime_error=$(tail -n 5 "$err" 2>/dev/null | grep -E "^FATAL:|/tasks/$index\.sh: line " | tail -c 1000)
    ;;
esac
write_record "$code" "$runtime_error"
exit "$code"
