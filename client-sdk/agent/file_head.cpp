#include "agent/file_head.hpp"

#include <fstream>

namespace fallow::agent {

std::string file_head(const std::filesystem::path& path, std::size_t bytes_max) {
    std::ifstream file(path, std::ios::binary);
    std::string text(bytes_max, '\0');
    file.read(text.data(), static_cast<std::streamsize>(bytes_max));
    text.resize(static_cast<std::size_t>(file.gcount()));
    return text;
}

}  // namespace fallow::agent
