// Reading lines from a person: line editing and history on a terminal (libedit, BSD licence; GNU readline's
// GPL would bind a program under MIT), plain lines from a pipe or a file.
#pragma once

#include <memory>
#include <string>

namespace hadal::cli {

class LineEditor {
 public:
  enum class Result {
    kLine,
    kInterrupted,
    kEnd
  };  // kInterrupted: Ctrl-C; kEnd: Ctrl-D or the end of the input

  explicit LineEditor(const std::string& prompt);
  ~LineEditor();

  bool is_terminal() const;
  Result read(std::string& line);  // without its newline; the line joins the history

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hadal::cli
