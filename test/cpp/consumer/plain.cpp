// Run lengths without messages: 2 x 3 px, the first column and the last pixel.
#include <sam_ros/rle.hpp>

#include <cstdint>
#include <vector>

int main()
{
  const std::vector<std::uint32_t> counts{0, 2, 3, 1};
  const std::vector<std::uint8_t> expected{255, 0, 0, 255, 0, 255};
  return sam_ros::decode(counts, 2, 3) == expected && sam_ros::area(counts) == 3 ? 0 : 1;
}
