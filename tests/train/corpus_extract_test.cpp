#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files.h"
#include "corpus_fixture.h"
#include "train/corpus/clean.h"
#include "train/corpus/extractor.h"

namespace hadal::train::corpus {
namespace {

std::vector<Document> run(const std::string& extractor, const std::string& path,
                          std::vector<std::string> skip = {}) {
  std::vector<Document> out;
  find_extractor(extractor).extract({path, std::move(skip)}, [&](Document document) {
    document.text = join_paragraphs(split_paragraphs(document.text));
    if (!document.text.empty()) out.push_back(std::move(document));
  });
  return out;
}

std::string error_of(const std::string& extractor, const std::string& path) {
  try {
    run(extractor, path);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

// Two chapters over two compressed blocks, with the tags that real modules have.
void write_sword(const TemporaryFolder& folder) {
  const std::string one =
      "<chapter osisID=\"Gen.1\" sID=\"Gen.1\" n=\"1\"/> <title>CREATION</title> <w lemma=\"strong:H1\">In "
      "the "
      "beginning</w> &amp; after.<note>A note.</note> <div type=\"x-p\" sID=\"g1\"/>Second <hi>part</hi>.";
  const std::string two =
      "<chapter eID=\"Gen.1\"/><chapter osisID=\"Gen.2\" sID=\"Gen.2\"/>Thus it <l>was</l><l>done</l>.";
  const std::string first = deflated(one);
  const std::string second = deflated(two);
  folder.write("m/ot.bzz", first + second);
  folder.write("m/ot.bzs",
               le32(0) + le32(static_cast<uint32_t>(first.size())) + le32(static_cast<uint32_t>(one.size())) +
                   le32(static_cast<uint32_t>(first.size())) + le32(static_cast<uint32_t>(second.size())) +
                   le32(static_cast<uint32_t>(two.size())));
}

TEST(CorpusExtract, SwordChaptersWithoutNotesAndTitles) {
  const TemporaryFolder folder;
  write_sword(folder);
  const std::vector<Document> documents = run("sword", folder / "m");
  ASSERT_EQ(documents.size(), 2u);
  EXPECT_EQ(documents[0].text, "In the beginning & after.\n\nSecond part.");
  EXPECT_TRUE(documents[0].id.ends_with("/Gen.1")) << documents[0].id;
  EXPECT_EQ(documents[1].text, "Thus it was done.");
  EXPECT_TRUE(documents[1].id.ends_with("/Gen.2")) << documents[1].id;
}

TEST(CorpusExtract, SwordRefusesBlocksPastTheEndAndDamagedOnes) {
  const TemporaryFolder folder;
  write_sword(folder);
  const std::string data = base::read_file(folder / "m/ot.bzz");
  folder.write("m/ot.bzz", data.substr(0, data.size() - 4));
  EXPECT_NE(error_of("sword", folder / "m").find("past the end"), std::string::npos);
  std::string damaged = data;
  damaged[10] = static_cast<char>(~damaged[10]);
  folder.write("m/ot.bzz", damaged);
  EXPECT_NE(error_of("sword", folder / "m").find("damaged"), std::string::npos);
}

std::string r_vector(const std::vector<std::string>& lines) {
  std::string object = "X\n" + be32(3) + be32(0x00040201) + be32(0x00030500) + be32(5) + "UTF-8" + be32(16) +
                       be32(static_cast<uint32_t>(lines.size()));
  for (const std::string& line : lines)
    object += be32(0x00040009) + be32(static_cast<uint32_t>(line.size())) + line;
  return object;
}

TEST(CorpusExtract, RdataStringsAreLinesAndChaptersDocuments) {
  const TemporaryFolder folder;
  const std::string object = r_vector(
      {"EMMA", "", "CHAPTER I", "", "Emma was _very_", "handsome.", "", "CHAPTER II", "She smiled."});
  folder.write("d/Rdata.rdb", be32(static_cast<uint32_t>(object.size())) + deflated(object));
  const std::vector<Document> documents = run("rdata", folder / "d");
  ASSERT_EQ(documents.size(), 3u);
  EXPECT_EQ(documents[1].text, "Emma was very handsome.");
  EXPECT_EQ(documents[2].text, "She smiled.");
}

TEST(CorpusExtract, RdataRefusesWhatEndsEarlyOrIsCompressedOtherwise) {
  const TemporaryFolder folder;
  const std::string object = r_vector({"one", "two"});
  folder.write("d/a.rdb", be32(9) + deflated(object.substr(0, object.size() - 2)));
  EXPECT_NE(error_of("rdata", folder / "d").find("ends early"), std::string::npos);
  folder.write("d/a.rdb", be32(9) + "Zxxxxxxxx");
  EXPECT_NE(error_of("rdata", folder / "d").find("only zlib"), std::string::npos);
}

TEST(CorpusExtract, HtmlWithoutScriptsTablesAndNavigation) {
  const TemporaryFolder folder;
  folder.write("h/a.html",
               "<html><head><title>T</title></head><body><script>var x = '<p>no</p>';</script>"
               "<div class=\"navheader\"><div>Prev</div><p>Next</p></div><p>First <code>one</code>\nline.</p>"
               "<table><tr><td>cell</td></tr></table><p>Second &#8220;two&#8221;.<!-- a > comment "
               "--></p></body></html>");
  folder.write("h/skipped.html", "<p>No.</p>");
  const std::vector<Document> documents = run("html", folder / "h", {"skipped"});
  ASSERT_EQ(documents.size(), 1u);
  EXPECT_EQ(documents[0].text, "First one line.\n\nSecond \"two\".");
  EXPECT_EQ(documents[0].id, "a.html");
}

TEST(CorpusExtract, HtmlThatNeverCloses) {
  const TemporaryFolder folder;
  folder.write("h/a.html", "<p>Text <b>bold<p>More<table><tr><td>lost");
  EXPECT_EQ(run("html", folder / "h").at(0).text, "Text bold\n\nMore");
  folder.write("h/a.html", "Text <unfinished");
  EXPECT_EQ(run("html", folder / "h").at(0).text, "Text");
}

TEST(CorpusExtract, RstLeavesTextOfRolesAndDropsListings) {
  const TemporaryFolder folder;
  folder.write(
      "r/a.rst.txt",
      "Heading\n=======\n\nSee :ref:`the part <label>` and ``code`` and :func:`~os.path.join`,\n*now*::\n\n"
      "    listing = 1\n\n    more = 2\n\nAfter it.\n\n.. code-block:: python\n\n   dropped()\n\n"
      ".. note::\n\n   A note stays.\n\n>>> 1 + 1\n2\n");
  const std::vector<Document> documents = run("rst", folder / "r");
  EXPECT_EQ(documents.at(0).text, "See the part and code and join, now:\n\nAfter it.\n\nA note stays.");
}

TEST(CorpusExtract, PodLeavesTextOfCodes) {
  const TemporaryFolder folder;
  folder.write(
      "p/a.pod",
      "code before\n\n=head1 NAME\n\nUse C<< a > b >> and L<the page|perlre> I<or B<not>>, E<lt>tagE<gt>.\n\n"
      "    verbatim();\n\n=cut\n\nmore code\n");
  EXPECT_EQ(run("pod", folder / "p").at(0).text, "Use a > b and the page or not, <tag>.");
}

TEST(CorpusExtract, WordnetAsSentences) {
  const TemporaryFolder folder;
  write_small_wordnet(folder, "w");
  std::string all;
  for (const Document& document : run("wordnet", folder / "w")) all += document.text + "\n";
  EXPECT_NE(all.find("A terrier is a pet that barks. It is also called hound. The terrier barked all night."),
            std::string::npos)
      << all;
  EXPECT_NE(all.find("Freezing means very cold indeed."), std::string::npos) << all;
}

TEST(CorpusExtract, WordnetNamesFileAndLine) {
  const TemporaryFolder folder;
  write_small_wordnet(folder, "w");
  folder.write("w/data.verb", "00000040 30 v zz wander\n");
  EXPECT_NE(error_of("wordnet", folder / "w").find("data.verb:1"), std::string::npos);
  write_small_wordnet(folder, "w");
  folder.write("w/index.verb", "wander v 1 0 1 1 00009999\n");
  EXPECT_NE(error_of("wordnet", folder / "w").find("points at no synset"), std::string::npos);
}

TEST(CorpusExtract, UnknownExtractorNamesTheNearest) {
  try {
    find_extractor("swrod");
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("did you mean \"sword\""), std::string::npos) << e.what();
  }
}

TEST(CorpusExtract, NoSuchFolder) {
  EXPECT_NE(error_of("html", "/nonexistent/folder").find("no .html file"), std::string::npos);
}

}  // namespace
}  // namespace hadal::train::corpus
