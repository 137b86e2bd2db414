// Reading what is not there, and replacing a directory under the eyes of readers.
#include "base/files.h"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <stdexcept>
#include <thread>

#include "base/error.h"
#include "support/temporary_folder.h"

namespace hadal::base {
namespace {

namespace fs = std::filesystem;

class FilesTest : public testing::Test {
 protected:
  void put(const std::string& content) const {
    replace_directory(folder_ + "/it",
                      [&](const std::string& aside) { write_file_atomic(aside + "/content", content); });
  }
  size_t entries() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }

  const test::TemporaryFolder temporary_;
  const std::string& folder_ = temporary_.path();
};

template <typename Fn>
ErrorCode code_of(Fn&& fn) {
  try {
    fn();
  } catch (const Error& e) {
    return e.code();
  }
  return ErrorCode::kInternal;
}

TEST_F(FilesTest, APathThatLeadsToNoFileIsBadInput) {
  write_file_atomic(folder_ + "/file", "x");
  for (const std::string name : {"/none", "/file/below", ""}) {
    EXPECT_EQ(code_of([&] { read_file(folder_ + name); }), ErrorCode::kBadInput) << name;
    EXPECT_EQ(code_of([&] { MappedFile(folder_ + name); }), ErrorCode::kBadInput) << name;
  }
  EXPECT_EQ(code_of([&] { write_file_atomic(folder_ + "/none/file", "x"); }), ErrorCode::kIo);
}

TEST_F(FilesTest, AReplacedDirectoryIsNeverMissing) {
  put("0");
  std::atomic<bool> stop{false};
  std::atomic<int64_t> looks{0};
  std::atomic<int64_t> missing{0};
  std::thread reader([&] {
    while (!stop.load()) {
      if (::access((folder_ + "/it").c_str(), F_OK) != 0) missing.fetch_add(1);
      looks.fetch_add(1);
    }
  });
  for (int i = 1; i <= 50 || looks.load() < 1000; ++i) {
    put(std::to_string(i));
    ASSERT_EQ(read_file(folder_ + "/it/content"), std::to_string(i));
  }
  stop.store(true);
  reader.join();
  EXPECT_EQ(missing.load(), 0) << "of " << looks.load() << " looks";
  EXPECT_EQ(entries(), 1u) << "leftovers";
}

TEST_F(FilesTest, AFailedFillLeavesTheDirectoryAsItWas) {
  put("good");
  EXPECT_THROW(replace_directory(folder_ + "/it",
                                 [](const std::string& aside) {
                                   write_file_atomic(aside + "/content", "half");
                                   throw std::runtime_error("full disk");
                                 }),
               std::runtime_error);
  EXPECT_EQ(read_file(folder_ + "/it/content"), "good");
  EXPECT_EQ(entries(), 1u);
}

}  // namespace
}  // namespace hadal::base
