package headrace;

import io.delta.storage.HadoopFileSystemLogStore;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.util.Iterator;
import java.util.stream.Collectors;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FSDataOutputStreamBuilder;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

/**
 * Commits of Delta on S3: the store itself lets only the first of two writers create a version ("If-None-Match: *").
 *
 * <p>Delta's own log store for S3 is safe only within one Spark driver. With this one, drivers and delta-rs, which
 * creates its commits in the same way, can all write to one table.
 */
public final class ConditionalLogStore extends HadoopFileSystemLogStore {
    private static final String CONDITIONAL = "fs.option.create.conditional.overwrite";

    public ConditionalLogStore(Configuration configuration) {
        super(configuration);
    }

    @Override
    public void write(Path path, Iterator<String> actions, Boolean overwrite, Configuration configuration)
            throws IOException {
        FileSystem files = path.getFileSystem(configuration);
        StringBuilder lines = new StringBuilder();
        actions.forEachRemaining(line -> lines.append(line).append('\n'));
        FSDataOutputStreamBuilder<?, ?> file = files.createFile(path).recursive();
        if (overwrite) {
            file.overwrite(true);
        } else {
            file.overwrite(false).must(CONDITIONAL, true);
        }
        try (FSDataOutputStream out = file.build()) {
            out.write(lines.toString().getBytes(StandardCharsets.UTF_8));
        } catch (IOException refused) {
            if (overwrite || !files.exists(path)) {
                throw refused;
            }
            // A commit names its transaction, so this text can only be ours: written, and its answer was lost.
            if (!lines.toString().equals(read(files, path))) {
                FileAlreadyExistsException taken = new FileAlreadyExistsException(path.toString());
                taken.initCause(refused);
                throw taken;
            }
        }
    }

    @Override
    public Boolean isPartialWriteVisible(Path path, Configuration configuration) {
        return false;
    }

    private static String read(FileSystem files, Path path) throws IOException {
        try (BufferedReader text =
                new BufferedReader(new InputStreamReader(files.open(path), StandardCharsets.UTF_8))) {
            return text.lines().map(line -> line + "\n").collect(Collectors.joining());
        }
    }
}
