# Enter the project's environment: `. tools/env.sh` in bash or zsh from any folder, in another sh from the project's.
# It puts Python with its packages, ROS 2 and the built interfaces on the paths. `make build` makes what it needs.

if [ -n "${BASH_VERSION:-}" ]; then
  _root=$BASH_SOURCE
elif [ -n "${ZSH_VERSION:-}" ]; then
  eval '_root=${(%):-%x}'
else
  _root=tools/env.sh
fi
_root=$(cd "$(dirname "$_root")/.." && pwd)
_name=$("$_root/tools/environment.sh")
_venv=$_root/.venv/$_name

if [ -z "$_name" ] || [ ! -x "$_venv/bin/python" ]; then
  echo "no environment in ${_venv}: run 'make build' first" >&2
  unset _root _name _venv
  return 1
fi

if [ "${VIRTUAL_ENV:-}" != "$_venv" ]; then
  export SAM_ROS_ENV="$_name" VIRTUAL_ENV="$_venv" PATH="$_venv/bin:$PATH"
  # Fast DDS loses most camera images between processes over its default shared memory: it is smaller than an image.
  export FASTDDS_BUILTIN_TRANSPORTS="${FASTDDS_BUILTIN_TRANSPORTS:-LARGE_DATA}"
  if [ "${_name#ros-}" = "$_name" ]; then   # ROS 2 from wheels: the environment is its prefix
    export ROS_DISTRO="$_name" AMENT_PREFIX_PATH="$_venv" CMAKE_PREFIX_PATH="$_venv"
    LD_LIBRARY_PATH=$_venv/lib:$(printf '%s:' "$_venv"/lib/python3.*/site-packages/ros_*.libs)${LD_LIBRARY_PATH:-}
    export LD_LIBRARY_PATH="${LD_LIBRARY_PATH%:}"
    export _ROS_WHEELS_BOOTSTRAP_COMPLETE=1   # says that the library path is set: no second start of each program
  fi
fi

if [ -f "$_root/install/$_name/local_setup.sh" ]; then
  _flags=$-
  set +u    # colcon's scripts ask for variables that may not be set
  COLCON_CURRENT_PREFIX=$_root/install/$_name
  . "$COLCON_CURRENT_PREFIX/local_setup.sh"
  case $_flags in *u*) set -u ;; esac
  unset COLCON_CURRENT_PREFIX _flags
fi
unset _root _name _venv
