// A message of ~/instances, filled by hand: the selected mask of its first instance.
#include <sam_ros/msg/instance_array.hpp>
#include <sam_ros/rle.hpp>

#include <cstdint>
#include <vector>

int main()
{
  sam_ros::msg::InstanceArray array;
  array.instances.resize(1);
  sam_ros::msg::Instance & instance = array.instances[0];
  instance.hypotheses.resize(2);
  instance.selected = 1;
  sam_ros::msg::Mask & mask = instance.hypotheses[instance.selected].mask;
  mask.height = 2;
  mask.width = 2;
  mask.counts = {1, 1, 2};
  const std::vector<std::uint8_t> expected{0, 0, 255, 0};
  return sam_ros::decode(mask) == expected ? 0 : 1;
}
