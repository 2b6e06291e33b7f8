# shellcheck shell=bash
# Sourced by the scripts beside it.

# run_and_requeue COMMAND...: runs a job's one step and leaves with its exit status.
#
# USR1, SLURM's warning before the time limit (--signal=B:USR1@...): the step gets SIGTERM, saves and ends, and the job
# goes back into the queue, to go on with --resume. TERM (scancel, or preemption, where SLURM itself queues the job
# again): it saves and ends.
run_and_requeue() {
    local asked="" heard=0 before step status
    trap 'asked=USR1; heard=$((heard + 1)); kill -TERM "$step" 2>/dev/null' USR1
    trap 'asked=${asked:-TERM}; heard=$((heard + 1)); kill -TERM "$step" 2>/dev/null' TERM
    "$@" &
    step=$!
    # a signal ends the waiting, not the step, though the step may be over by then: its own status is asked for again
    while before=$heard; wait "$step"; status=$?; [[ $heard != "$before" ]]; do :; done
    if [[ $asked == USR1 && $status -ne 0 ]]; then
        echo "stopped before the time limit, state saved: job $SLURM_JOB_ID goes back into the queue"
        scontrol requeue "$SLURM_JOB_ID"
    fi
    return "$status"
}
