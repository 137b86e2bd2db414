#include "cli/line_editor.h"

#include <histedit.h>
#include <unistd.h>

#include <clocale>
#include <cstdio>
#include <iostream>

namespace hadal::cli {

namespace {
constexpr int kHistoryLines = 1000;
}

struct LineEditor::Impl {
  std::string prompt;
  bool interrupted = false;
  EditLine* editor = nullptr;  // null: not a terminal
  History* history = nullptr;

  static Impl& of(EditLine* editor) {
    void* self = nullptr;
    el_get(editor, EL_CLIENTDATA, &self);
    return *static_cast<Impl*>(self);
  }
  static const char* prompt_text(EditLine* editor) { return of(editor).prompt.c_str(); }
  static unsigned char on_interrupt(EditLine* editor, int) {
    of(editor).interrupted = true;
    return CC_EOF;
  }
  // A Ctrl-D that was typed while the terminal was still in line mode arrives as a zero byte.
  static unsigned char on_end(EditLine* editor, int) {
    const LineInfo* line = el_line(editor);
    return line->lastchar == line->buffer ? CC_EOF : CC_NORM;
  }
};

LineEditor::LineEditor(const std::string& prompt) : impl_(std::make_unique<Impl>()) {
  impl_->prompt = prompt;
  if (isatty(STDIN_FILENO) == 0 || isatty(STDOUT_FILENO) == 0) return;
  std::setlocale(LC_CTYPE, "");  // so that editing moves by characters, not bytes
  impl_->editor = el_init("hadal", stdin, stdout, stderr);
  if (impl_->editor == nullptr) return;
  HistEvent event;
  impl_->history = history_init();
  history(impl_->history, &event, H_SETSIZE, kHistoryLines);
  history(impl_->history, &event, H_SETUNIQUE, 1);
  EditLine* editor = impl_->editor;
  el_set(editor, EL_CLIENTDATA, impl_.get());
  el_set(editor, EL_PROMPT, &Impl::prompt_text);
  el_set(editor, EL_EDITOR, "emacs");
  el_set(editor, EL_HIST, history, impl_->history);
  // While a line is edited, Ctrl-C is a key and not a signal: it drops the line.
  el_set(editor, EL_ADDFN, "hadal-interrupt", "Drop this line", &Impl::on_interrupt);
  el_set(editor, EL_BIND, "^C", "hadal-interrupt", nullptr);
  el_set(editor, EL_ADDFN, "hadal-end", "End of input on an empty line", &Impl::on_end);
  el_set(editor, EL_BIND, "^@", "hadal-end", nullptr);
  el_set(editor, EL_SETTY, "-d", "-isig", nullptr);
}

LineEditor::~LineEditor() {
  if (impl_->editor != nullptr) el_end(impl_->editor);
  if (impl_->history != nullptr) history_end(impl_->history);
}

bool LineEditor::is_terminal() const { return impl_->editor != nullptr; }

LineEditor::Result LineEditor::read(std::string& line) {
  line.clear();
  if (impl_->editor == nullptr) {
    if (!std::getline(std::cin, line)) return Result::kEnd;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    return Result::kLine;
  }
  impl_->interrupted = false;
  int count = 0;
  const char* text = el_gets(impl_->editor, &count);
  if (impl_->interrupted) {
    el_reset(impl_->editor);
    std::fputs("^C\n", stdout);
    return Result::kInterrupted;
  }
  if (text == nullptr || count <= 0) {
    std::fputc('\n', stdout);
    return Result::kEnd;
  }
  line.assign(text, static_cast<size_t>(count));
  HistEvent event;
  if (line.find_first_not_of(" \t\r\n") != std::string::npos) {
    history(impl_->history, &event, H_ENTER, line.c_str());
  }
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.pop_back();
  return Result::kLine;
}

}  // namespace hadal::cli
