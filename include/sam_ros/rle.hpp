// Masks of sam_ros/Mask as bytes in rows. Header-only, C++14, the standard library only.
//
//   #include <sam_ros/msg/instance_array.hpp>
//   #include <sam_ros/rle.hpp>
//
//   std::vector<std::uint8_t> mask = sam_ros::decode(instance.hypotheses[instance.selected].mask);
//   cv::Mat view(height, width, CV_8UC1, mask.data());
//
// The same as sam_ros.engine.rle.decode of Python, against which it is tested.

#ifndef SAM_ROS__RLE_HPP_
#define SAM_ROS__RLE_HPP_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace sam_ros
{

/// Pixels of the object, without decoding.
///
/// \param counts run lengths [px] as in sam_ros/Mask: background first, then alternating.
template<typename Counts>
std::uint64_t area(const Counts & counts)
{
  std::uint64_t pixels = 0;
  bool object = false;
  for (const std::uint32_t run : counts) {
    pixels += object ? run : 0;
    object = !object;
  }
  return pixels;
}

/// Decode into memory of yours, such as a cv::Mat or the data of a sensor_msgs/Image.
///
/// \param counts run lengths [px], column by column, each column from top to bottom.
/// \param height rows of the mask.
/// \param width columns of the mask.
/// \param data first byte of the first row; every pixel of the mask is written.
/// \param step bytes from one row to the next, at least width.
/// \param value of the object's pixels; the others are 0.
/// \throws std::invalid_argument the runs do not fill the mask exactly; nothing is written then.
template<typename Counts>
void decode_to(
  const Counts & counts, std::uint32_t height, std::uint32_t width, std::uint8_t * data,
  std::size_t step, std::uint8_t value = 255)
{
  const std::uint64_t pixels = static_cast<std::uint64_t>(height) * width;
  std::uint64_t filled = 0;
  for (const std::uint32_t run : counts) {
    filled += run;
  }
  if (filled != pixels) {
    throw std::invalid_argument(
            "counts: runs of " + std::to_string(filled) + " px; expected " +
            std::to_string(height) + " x " + std::to_string(width) + " = " +
            std::to_string(pixels) + " px");
  }
  for (std::uint32_t row = 0; row < height; ++row) {
    std::fill_n(data + row * step, width, std::uint8_t{0});
  }
  std::uint64_t pixel = 0;
  bool object = false;
  for (const std::uint32_t run : counts) {
    if (object && run > 0) {
      std::size_t column = pixel / height, row = pixel % height;
      for (std::uint32_t left = run; left > 0; --left) {
        data[row * step + column] = value;
        if (++row == height) {
          row = 0;
          ++column;
        }
      }
    }
    pixel += run;
    object = !object;
  }
}

/// Decode run lengths.
///
/// \return height * width bytes, row by row: value on the object, else 0.
/// \throws std::invalid_argument the runs do not fill the mask exactly.
template<typename Counts>
std::vector<std::uint8_t> decode(
  const Counts & counts, std::uint32_t height, std::uint32_t width, std::uint8_t value = 255)
{
  std::vector<std::uint8_t> mask(static_cast<std::size_t>(height) * width);
  decode_to(counts, height, width, mask.data(), width, value);
  return mask;
}

/// Decode a sam_ros/Mask, or whatever has its fields height, width and counts.
template<typename Mask>
std::vector<std::uint8_t> decode(const Mask & mask, std::uint8_t value = 255)
{
  return decode(mask.counts, mask.height, mask.width, value);
}

}  // namespace sam_ros

#endif  // SAM_ROS__RLE_HPP_
