// Decodes what it reads: height, width, step, number of runs and the runs as uint32. Answers with the number of bytes
// and the bytes; for runs that do not fit with 0xffffffff, the length of the error's text and the text.

#include <sam_ros/rle.hpp>

#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

struct Mask  // as the message has it
{
  std::uint32_t height;
  std::uint32_t width;
  std::vector<std::uint32_t> counts;
};

static bool read(std::uint32_t * values, std::size_t count)
{
  return count == 0 || std::fread(values, sizeof(*values), count, stdin) == count;
}

static void write(std::uint32_t value)
{
  std::fwrite(&value, sizeof(value), 1, stdout);
}

static void write(const void * data, std::size_t size)
{
  write(static_cast<std::uint32_t>(size));
  if (size > 0) {
    std::fwrite(data, 1, size, stdout);
  }
}

int main()
{
  std::uint32_t head[4];
  while (read(head, 4)) {
    Mask mask{head[0], head[1], std::vector<std::uint32_t>(head[3])};
    const std::uint32_t step = head[2];
    if (!read(mask.counts.data(), mask.counts.size())) {
      return 1;
    }
    try {
      std::vector<std::uint8_t> bytes = sam_ros::decode(mask, 1);
      if (step != mask.width) {
        bytes.assign(static_cast<std::size_t>(mask.height) * step, 9);
        sam_ros::decode_to(mask.counts, mask.height, mask.width, bytes.data(), step, 1);
      }
      write(bytes.data(), bytes.size());
      write(static_cast<std::uint32_t>(sam_ros::area(mask.counts)));
    } catch (const std::exception & error) {
      const std::string text = error.what();
      write(0xffffffffu);
      write(text.data(), text.size());
    }
    std::fflush(stdout);
  }
  return 0;
}
