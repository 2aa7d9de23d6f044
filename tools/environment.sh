#!/bin/sh
# Print the name of the environment: ros-DISTRO where a ROS 2 is sourced, else the distribution of the ROS wheels.
if [ -n "${SAM_ROS_ENV:-}" ]; then
  name=$SAM_ROS_ENV       # this shell has entered one by tools/env.sh
elif [ -n "${AMENT_PREFIX_PATH:-}" ] && [ -n "${ROS_DISTRO:-}" ]; then
  name=ros-$ROS_DISTRO
else
  name=${ROS_WHEELS:-kilted}
fi
case $name in
  kilted | jazzy | ros-*) ;;
  *) echo "ROS_WHEELS=$name: expected kilted or jazzy" >&2; exit 1 ;;
esac
case $name in
  "${ROS_WHEELS:-$name}" | ros-*) echo "$name" ;;
  *) echo "ROS_WHEELS=$ROS_WHEELS, but this shell has entered $name: open a new one" >&2; exit 1 ;;
esac
