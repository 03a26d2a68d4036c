# A navit cluster of its own on this machine, for scripts that source this file and then call
# start_cluster. Programs must be built; the working folder is the root of the tree.
#
#   start_cluster RUN PACKERS TRAINERS   starts all in the folder RUN, which is made anew, exports
#                                        NAVIT_SERVER, and stops all when the script ends
#   port NAME WHICH                      the port (grpc or http) of coordinator, packer-0, ...
#   cpu_seconds                          processor time of all of them so far

# Ports are chosen by the system; each process writes its own to a file once it listens.
navit_pids=()
stop_cluster() {
  for ((i = ${#navit_pids[@]} - 1; i >= 0; i--)); do kill "${navit_pids[i]}" 2>/dev/null || true; done
  wait
}

start_process() { # NAME PROGRAM FLAGS...
  local name=$1
  shift
  "$@" --port_file="$navit_run/$name.ports" >"$navit_run/$name.log" 2>&1 &
  navit_pids+=($!)
}

port() { # NAME WHICH
  until [[ -s $navit_run/$1.ports ]]; do
    kill -0 "${navit_pids[-1]}" 2>/dev/null || { cat "$navit_run/$1.log" >&2; exit 1; }
    sleep 0.1
  done
  awk -v which="$2" '$1 == which { print $2 }' "$navit_run/$1.ports"
}

cpu_seconds() {
  local IFS=,
  ps -o cputimes= -p "${navit_pids[*]}" | awk '{ seconds += $1 } END { print seconds }'
}

start_cluster() { # RUN PACKERS TRAINERS
  navit_run=$1
  rm -rf "$navit_run"
  mkdir -p "$navit_run/checkpoints"
  trap stop_cluster EXIT
  start_process coordinator bazel-bin/server/navit-coordinator \
    --listen=127.0.0.1:0 --listen_http=127.0.0.1:0 --state="$navit_run/coordinator.db"
  NAVIT_SERVER=127.0.0.1:$(port coordinator grpc)
  export NAVIT_SERVER
  local i
  for ((i = 0; i < $2; i++)); do
    start_process "packer-$i" bazel-bin/packer/navit-packer --coordinator="$NAVIT_SERVER" \
      --name="packer-$i" --listen=127.0.0.1:0 --listen_http=127.0.0.1:0 --threads=1
  done
  for ((i = 0; i < $3; i++)); do
    start_process "trainer-$i" bazel-bin/worker/navit-trainer --coordinator="$NAVIT_SERVER" \
      --name="trainer-$i" --listen_http=127.0.0.1:0
  done
}
